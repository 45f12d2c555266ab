"""Search spaces: presets by name, `auto`, and what spaces of one's own are built from."""

from __future__ import annotations

from autorec.spaces.auto import INTERACTIONS, Auto, Interaction
from autorec.spaces.autoint import AutoInt
from autorec.spaces.building import check_model
from autorec.spaces.context import current_layout, current_schema, using_layout
from autorec.spaces.dag import InteractionDAG
from autorec.spaces.dag_blocks import DAG_BLOCKS
from autorec.spaces.dcn import DCN
from autorec.spaces.dcnv2 import DCNv2
from autorec.spaces.deepfm import DeepFM
from autorec.spaces.dlrm import DLRM
from autorec.spaces.dnn import DNN
from autorec.spaces.embedding import IdFields
from autorec.spaces.features import Features
from autorec.spaces.finalmlp import FinalMLP
from autorec.spaces.fixed import FixedSpace
from autorec.spaces.fm import FM
from autorec.spaces.gmf import GMF
from autorec.spaces.lirank import LiRank
from autorec.spaces.lr import LR
from autorec.spaces.mf import MF
from autorec.spaces.model import calibrated_model, ctr_model, inputs, ranking_model, rating_model
from autorec.spaces.multi_task import MultiTask
from autorec.spaces.neumf import NeuMF
from autorec.spaces.preset import Preset, arguments_of
from autorec.spaces.residual_dcn import ResidualDCN
from autorec.spaces.space import SPACES, FunctionSpace, as_space, build, from_config, to_config
from autorec.spaces.wide_deep import WideDeep
from autorec.spaces.xdeepfm import XDeepFM

__all__ = [
    "DAG_BLOCKS",
    "DCN",
    "DLRM",
    "DNN",
    "FM",
    "GMF",
    "INTERACTIONS",
    "LR",
    "MF",
    "SPACES",
    "Auto",
    "AutoInt",
    "DCNv2",
    "DeepFM",
    "Features",
    "FinalMLP",
    "FixedSpace",
    "FunctionSpace",
    "IdFields",
    "Interaction",
    "InteractionDAG",
    "LiRank",
    "MultiTask",
    "NeuMF",
    "Preset",
    "ResidualDCN",
    "WideDeep",
    "XDeepFM",
    "arguments_of",
    "as_space",
    "build",
    "calibrated_model",
    "check_model",
    "ctr_model",
    "current_layout",
    "current_schema",
    "from_config",
    "inputs",
    "ranking_model",
    "rating_model",
    "to_config",
    "using_layout",
]
