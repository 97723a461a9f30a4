"""Train and measure: ``python train.py --help`` lists what can be chosen."""

from gaplab.cli import main

if __name__ == "__main__":
    main()
