"""The steps of a search, one a module: from rows to encoded rows, baselines, trials and a refitted winner."""
