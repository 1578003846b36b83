from . import portal
from . import portal_milestone
from . import portal_decision
