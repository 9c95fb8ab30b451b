"""shipper: logs of Sun / iPlanet / Oracle Messaging Server as records of one common schema."""

__version__ = "0.1.0"
