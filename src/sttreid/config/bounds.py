"""Whole numbers of params.yaml: bounds beyond which no library or machine follows.

A number within them may still ask for more memory than there is; beyond them a stage would end with the
traceback of a library, perhaps after hours.
"""

from typing import Annotated, Final

from pydantic import Field

LARGEST: Final = 2**31 - 1  # of a count: libraries keep it in 32 bits with a sign
LARGEST_SEED: Final = 2**32 - 1  # that scikit-learn's t-SNE takes

Count = Annotated[int, Field(ge=1, le=LARGEST)]
Whole = Annotated[int, Field(ge=0, le=LARGEST)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Side = Annotated[int, Field(ge=1, le=8192)]  # of an image, in pixels
Frames = Annotated[int, Field(ge=1, le=4096)]  # of a clip
Layers = Annotated[int, Field(ge=1, le=512)]  # or parts; each takes time even without memory
Threads = Annotated[int, Field(ge=1, le=4096)]
