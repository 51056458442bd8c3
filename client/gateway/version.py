"""The version of both distributions, `lince` and `lince-client`: stated here alone."""

VERSION = "0.1.0"
