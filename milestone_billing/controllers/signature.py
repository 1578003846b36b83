import base64
import binascii
import io
import warnings

from PIL import Image

from odoo.exceptions import ValidationError

FORMATS = ("PNG", "JPEG")
MAX_BYTES = 2 * 1024 * 1024
MAX_PIXELS = 4096 * 4096
UNREADABLE = (
    binascii.Error,
    ValueError,
    OSError,
    SyntaxError,
    Image.DecompressionBombWarning,
    Image.DecompressionBombError,
)


def read_signature(env, signature):
    """Check a drawn or typed signature that a browser sent, and return it as a clean PNG image.

    The image is encoded anew, so that nothing but its pixels is kept as evidence.

    :param str signature: base64 of a PNG or JPEG image
    :return: base64 of a PNG image
    :rtype: bytes
    :raises ValidationError: when it is missing, blank, too large or no such image
    """
    if not signature or not isinstance(signature, str):
        raise ValidationError(env._("The signature is missing. Draw it, or type your name."))
    if len(signature) > MAX_BYTES * 4 / 3:
        raise ValidationError(env._("The signature is too large: at most 2 MB."))
    try:
        content = base64.b64decode(signature, validate=True)
        image = _open_image(content)
    except UNREADABLE as error:
        raise ValidationError(env._("The signature is no PNG or JPEG image. Please sign again.")) from error
    if all(low == high for low, high in image.getextrema()):
        raise ValidationError(env._("The signature is blank. Draw it, or type your name."))
    output = io.BytesIO()
    image.save(output, "PNG")
    return base64.b64encode(output.getvalue())


def _open_image(content):
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.open(io.BytesIO(content), formats=FORMATS).verify()
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError("too many pixels")
        return image.convert("RGBA")
