"""How the story speaks, and how it stops where its figures are not those of the database."""

import base64
import io


def say(text):
    print(f"\n• {text}", flush=True)


def tell_fact(text):
    print(f"    {text}")


def tell_entry(name, debit, credit):
    print(f"    {name[:36]:<36} {debit:12,.2f} {credit:12,.2f}")


def money(amount, record):
    return f"{amount:12,.{record.currency_id.decimal_places}f} {record.currency_id.name}"


def price(amount, record):
    """The same without blanks before it, for the middle of a sentence."""
    return money(amount, record).strip()


def check(record, amount, expected, what):
    """Stop the story where an amount is not what it has to be."""
    if record.currency_id.compare_amounts(amount, expected):
        raise AssertionError(f"{what}: {amount} is not {expected}.")


def check_unbroken(problem):
    """Stop the story where a verifier finds something; it returns a text then."""
    if problem:
        raise AssertionError(problem)


def draw_signature():
    """Return a drawn line as a PNG picture, base64."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGBA", (320, 80), (255, 255, 255, 0))
    ImageDraw.Draw(picture).line([(10, 60), (60, 15), (90, 65), (150, 20), (300, 45)], fill="black", width=3)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue())
