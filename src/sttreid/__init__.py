"""Video-based person re-identification with the Spatiotemporal Transformer (arXiv 2103.16469).

The public API; each name is imported on first use, so ``import sttreid`` costs nothing::

    import sttreid

    model = sttreid.load_model("campus.pt")
    feature = sttreid.embed(model, images)  # all images of one tracklet -> [D'], L2-normalised
    store = sttreid.open_store("artifacts/tracklets/campus")
    print(sttreid.evaluate_store(model, store, "embedded"))

    gallery = sttreid.embed_videos(model, ["hall.mp4", "lobby.mp4"])  # with hall.txt, lobby.txt
    for answer in sttreid.search("hall.mp4:17", gallery, k=10)[0].answers: ...
    identities = sttreid.link(gallery, threshold=0.36)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sttreid.inference import embed, embed_store, evaluate_store, load_model, open_store
    from sttreid.retrieval import (
        PROTOCOLS,
        Labels,
        Protocol,
        Result,
        evaluate,
        evaluate_distances,
        protocol,
    )
    from sttreid.runtime.errors import InputError
    from sttreid.search.calibration import Calibration
    from sttreid.search.gallery import Gallery
    from sttreid.search.linking import link
    from sttreid.search.ranking import search
    from sttreid.search.videos import embed_videos
    from sttreid.tracklets.store import Store

__version__ = "0.1.0"
__all__ = [
    "PROTOCOLS",
    "Calibration",
    "Gallery",
    "InputError",
    "Labels",
    "Protocol",
    "Result",
    "Store",
    "__version__",
    "embed",
    "embed_store",
    "embed_videos",
    "evaluate",
    "evaluate_distances",
    "evaluate_store",
    "link",
    "load_model",
    "open_store",
    "protocol",
    "search",
]
_MODULES = {
    "PROTOCOLS": "retrieval",
    "Calibration": "search.calibration",
    "Gallery": "search.gallery",
    "InputError": "runtime.errors",
    "Labels": "retrieval",
    "Protocol": "retrieval",
    "Result": "retrieval",
    "Store": "tracklets.store",
    "embed": "inference",
    "embed_store": "inference",
    "embed_videos": "search.videos",
    "evaluate": "retrieval",
    "evaluate_distances": "retrieval",
    "evaluate_store": "inference",
    "link": "search.linking",
    "load_model": "inference",
    "open_store": "inference",
    "protocol": "retrieval",
    "search": "search.ranking",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module 'sttreid' has no attribute {name!r}")
    if _MODULES[name] in ("inference", "search.videos"):
        import_module("sttreid.runtime.numerics").choose()  # before torch is loaded
    value: object = getattr(import_module(f"sttreid.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *__all__})
