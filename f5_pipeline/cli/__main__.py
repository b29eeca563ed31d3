"""python -m f5_pipeline.cli: the same as f5-pipeline."""

from f5_pipeline.cli import main

main()
