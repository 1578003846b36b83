class TaxedAmount(dict):
    """An amount with its taxes, component by component, in the currency of an order.

    The keys are ``"untaxed"``, and per tax ``(tax id, "tax")`` and ``(tax id, "base")``. Components
    are added, subtracted and rounded one by one, so that sums stay exact in each of them.
    """

    @classmethod
    def from_tax_data(cls, data):
        """Read the fixed amounts of an ``extra_tax_data``."""
        amount = cls(untaxed=data["manual_total_excluded_currency"])
        for tax, values in data["manual_tax_amounts"].items():
            if tax and values:
                amount[int(tax), "tax"] = values.get("tax_amount_currency", 0.0)
                amount[int(tax), "base"] = values.get("base_amount_currency", 0.0)
        return amount

    @classmethod
    def from_taxes(cls, untaxed, by_tax):
        """Read ``{tax: (tax amount, base amount)}``."""
        amount = cls(untaxed=untaxed)
        for tax, (tax_amount, base) in by_tax.items():
            amount[tax.id, "tax"] = amount.get((tax.id, "tax"), 0.0) + tax_amount
            amount[tax.id, "base"] = amount.get((tax.id, "base"), 0.0) + base
        return amount

    @property
    def untaxed(self):
        return self.get("untaxed", 0.0)

    @property
    def total(self):
        return self.untaxed + sum(value for key, value in self.items() if key[-1] == "tax")

    @property
    def tax_ids(self):
        return [key[0] for key in self if key[-1] == "tax"]

    def plus(self, other, sign=1):
        return TaxedAmount({key: self.get(key, 0.0) + sign * other.get(key, 0.0) for key in {**self, **other}})

    def minus(self, other):
        return self.plus(other, -1)

    def negated(self):
        return TaxedAmount({key: -value for key, value in self.items()})

    def rounded(self, currency):
        return TaxedAmount({key: currency.round(value) for key, value in self.items()})

    def share(self, part, whole, currency):
        """Return of each component the share that ``part`` has of ``whole``, rounded."""
        result = TaxedAmount()
        for key, value in self.items():
            name = key if whole.get(key) else "untaxed"
            result[key] = currency.round(value * part.get(name, 0.0) / whole[name]) if whole.get(name) else 0.0
        return result

    def less_a_unit(self, currency):
        """Return the amount with the least less of it, and nothing at all when that was all."""
        if currency.compare_amounts(self.untaxed, currency.rounding) <= 0:
            return TaxedAmount()
        return self.minus(TaxedAmount({key: currency.rounding for key in self if key[-1] != "tax"})).rounded(currency)

    def clamped(self, low, high):
        """Return each component within those of ``low`` and ``high``; the upper bound wins.

        Of a tax that is withheld, all three are negative: its bounds are those of what is withheld.
        """

        def clamp(key, value):
            sign = -1 if high.get(key, value) < 0.0 else 1
            return sign * min(max(sign * value, sign * low.get(key, 0.0)), sign * high.get(key, value))

        return TaxedAmount({key: clamp(key, value) for key, value in self.items()})
