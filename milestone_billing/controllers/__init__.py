from . import portal
from . import portal_milestone
from . import portal_decision
from . import portal_retention
from . import portal_statement
from . import portal_contract
