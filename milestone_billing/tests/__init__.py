from . import test_amounts
from . import test_gate
from . import test_plan
from . import test_rights
from . import test_rpc_surface
