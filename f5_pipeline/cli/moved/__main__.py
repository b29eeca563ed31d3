"""`python -m f5_pipeline`, as in version 0.1; now `python -m f5_pipeline.cli`."""

from f5_pipeline.cli import main

main()
