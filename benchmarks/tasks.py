"""The splits behind the yardsticks: each function returns (train, test, target, kind) as pandas frames.

Reads the folder that the environment variable AUTOREC_DATA names.

Every column but the target is a feature (ids and codes are categorical; in Criteo the I columns, in Adult age, fnlwgt, educational-num,
capital-gain, capital-loss and hours-per-week, and `time`, are numeric).
"""
import gzip
import os
import pathlib

import pandas as pd

SHARED = pathlib.Path(os.environ.get("AUTOREC_DATA", "data"))


def frappe():
    cols = "user app daytime weekday weekend homework cost weather country city".split()
    def read(name):
        rows = []
        with gzip.open(SHARED / "frappe" / name, "rt") as f:
            for line in f:
                p = line.split()
                rows.append([int(float(p[0]) > 0)] + [int(t.split(":")[0]) for t in p[1:]])
        return pd.DataFrame(rows, columns=["used"] + cols)
    return read("frappe.validation.libfm.gz"), read("frappe.test.libfm.gz"), "used", "ctr"


def adult():
    d = pd.read_csv(SHARED / "adult" / "adult.csv.gz")
    d["income"] = (d["income"].astype(str).str.strip().str.startswith(">50K")).astype(int)
    d = d.sample(frac=1, random_state=0).reset_index(drop=True)
    n = int(len(d) * .8)
    return d[:n], d[n:].reset_index(drop=True), "income", "ctr"


def movielens_100k_ctr():
    u = pd.read_csv(SHARED / "movielens-100k" / "u.user", sep="|", names="user age gender occupation zip".split())
    i = pd.read_csv(SHARED / "movielens-100k" / "u.item.gz", sep="|", encoding="latin-1", header=None)
    g = i.iloc[:, 5:].copy(); g.columns = [f"g{k}" for k in range(19)]; g["item"] = i[0]; g["year"] = i[2].astype(str).str[-4:]
    def read(n):
        d = pd.read_csv(SHARED / "movielens-100k" / n, sep="\t", names="user item rating time".split())
        d = d.merge(u, on="user").merge(g, on="item"); d["like"] = (d.rating >= 4).astype(int)
        return d.drop(columns=["rating"]).sample(frac=1, random_state=0).reset_index(drop=True)
    return read("u1.base.gz"), read("u1.test.gz"), "like", "ctr"


def movielens_100k_rating():
    t = {}
    for k, n in (("train", "u1.base.gz"), ("test", "u1.test.gz")):
        t[k] = pd.read_csv(SHARED / "movielens-100k" / n, sep="\t", names="user item rating time".split()).drop(columns="time")
    return t["train"].sample(frac=1, random_state=0).reset_index(drop=True), t["test"], "rating", "rating"


def criteo_10k():
    d = pd.read_csv(SHARED / "criteo-10k" / "train-10k.txt.gz", sep="\t", header=None,
                    names=["label"] + [f"I{k}" for k in range(1, 14)] + [f"C{k}" for k in range(1, 27)])
    n = 8000
    return d[:n], d[n:].reset_index(drop=True), "label", "ctr"


TASKS = dict(frappe=frappe, adult=adult, ml100k=movielens_100k_ctr, ml100k_rating=movielens_100k_rating, criteo10k=criteo_10k)
