"""Embeddings -> distances -> metrics: the evaluator, for use on its own."""

from sttreid.retrieval.evaluation import evaluate, evaluate_distances
from sttreid.retrieval.labels import Labels
from sttreid.retrieval.metrics import Result
from sttreid.retrieval.protocol import PROTOCOLS, Protocol, protocol

__all__ = ["PROTOCOLS", "Labels", "Protocol", "Result", "evaluate", "evaluate_distances", "protocol"]
