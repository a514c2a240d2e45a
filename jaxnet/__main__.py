"""python -m jaxnet"""

import sys

from .cli import main


sys.exit(main())
