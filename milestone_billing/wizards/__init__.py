from . import sale_advance_payment_inv
from . import account_move_reversal
from . import sale_approval_on_behalf
from . import sale_approval_reason
