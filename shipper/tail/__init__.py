"""Following files: what each of them holds, how far it was read, and where that goes on after a rotation or a restart."""

from shipper.tail.archive import Measured, measure
from shipper.tail.follower import Follower, Start, Tail
from shipper.tail.listing import Listing, Sight, listing
from shipper.tail.marks import Mark, Point
from shipper.tail.slices import Piece

__all__ = ["Follower", "Listing", "Mark", "Measured", "Piece", "Point", "Sight", "Start", "Tail", "listing", "measure"]
