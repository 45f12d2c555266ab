"""Public data sets in their original formats, from a local path or from their public address.

None of them is part of AutoRec; each has terms of use of its own, which `Dataset.citation` leads to.
"""

from autorec.data.loaders.avazu import avazu
from autorec.data.loaders.criteo import criteo
from autorec.data.loaders.dataset import Dataset
from autorec.data.loaders.frappe import frappe
from autorec.data.loaders.movielens import movielens_1m, movielens_100k

__all__ = ["Dataset", "avazu", "criteo", "frappe", "movielens_100k", "movielens_1m"]
