"""Features or distances -> ranking -> metrics, by a named protocol. Importing it loads no torch."""

from sttreid.retrieval.evaluation import evaluate, evaluate_distances
from sttreid.retrieval.labels import Labels
from sttreid.retrieval.metrics import METRICS, Metric
from sttreid.retrieval.protocol import PROTOCOLS, Protocol, protocol
from sttreid.retrieval.result import Result

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "Labels",
    "Metric",
    "Protocol",
    "Result",
    "evaluate",
    "evaluate_distances",
    "protocol",
]
