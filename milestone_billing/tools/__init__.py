from . import apportion
