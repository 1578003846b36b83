from . import apportion, attempt
