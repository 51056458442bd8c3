"""python -m lince"""

from lince import main

main()
