"""Makes prices.json and cases.json out of the Python package genai-prices; see `cargo xtask prices`.

generate.py table DATE         prints the table: what prices the tokens of a call, one model a line
generate.py cases SEED COUNT   prints calls and what the package's own calculator says they cost
generate.py license            prints the package's licence
"""

import json
import random
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from importlib.metadata import files, version

from genai_prices import Usage, calc_price, types
from genai_prices.data import providers

sys.stdout.reconfigure(encoding='utf-8', newline='\n')

# What an event counts, by the package's names. Cache writes are priced as the package prices those whose kind it is not
# told; sound, images, searches and the like are in no event.
UNITS = {
    'input_mtok': 'input',
    'cache_read_mtok': 'cached',
    'cache_write_mtok': 'cache_write',
    'output_mtok': 'output',
    'output_reasoning_mtok': 'reasoning',
    'requests_kcount': 'requests',
}


class Number(float):
    """A decimal that `json` writes digit for digit."""

    def __new__(cls, value):
        number = super().__new__(cls, value)
        number.text = format(value.normalize(), 'f')
        return number

    def __repr__(self):
        return self.text


def dump(value):
    # The encoder in C asks `float.__repr__`; the one in Python can be told whom to ask.
    def floatstr(number, **_):
        return number.text

    encoder = json.encoder._make_iterencode(
        {}, None, json.encoder.encode_basestring, None, floatstr, ':', ',', False, False, True
    )
    return ''.join(encoder(value, 0))


def clause(it):
    match it:
        case types.ClauseEquals():
            return {'equals': it.equals}
        case types.ClauseStartsWith():
            return {'starts_with': it.starts_with}
        case types.ClauseEndsWith():
            return {'ends_with': it.ends_with}
        case types.ClauseContains():
            return {'contains': it.contains}
        case types.ClauseOr():
            return {'or': [clause(one) for one in it.or_]}
        case types.ClauseAnd():
            return {'and': [clause(one) for one in it.and_]}
        case types.ClauseRegex():
            return regex(it.regex)
    raise TypeError(f'unknown clause {it!r}')


def regex(pattern):
    """A pattern that runs in linear time: what it must not begin with becomes a clause of its own."""
    if not pattern.startswith('^(?!'):
        if '(?!' in pattern or '(?=' in pattern or '(?<' in pattern:
            raise ValueError(f'cannot say `{pattern}` without looking around')
        return {'regex': pattern}
    depth = 1
    for end in range(len('^(?!'), len(pattern)):
        depth += {'(': 1, ')': -1}.get(pattern[end], 0)
        if depth == 0:
            break
    unwanted = {'not': regex('^' + pattern[len('^(?!') : end])}
    rest = pattern[end + 1 :]
    return {'and': [unwanted, regex('^' + rest)]} if rest else unwanted


def price(value):
    if isinstance(value, Decimal):
        return Number(value)
    return {'base': Number(value.base), 'above': [[tier.start, Number(tier.price)] for tier in value.tiers]}


def price_set(prices, constraint=None):
    res = {}
    match constraint:
        case types.StartDateConstraint():
            res['from'] = constraint.start_date.isoformat()
        case types.TimeOfDateConstraint():
            utc = [types._utc_timetz(it) for it in (constraint.start_time, constraint.end_time)]
            res['hours'] = [it.strftime('%H:%M') for it in utc]
        case None:
            pass
        case _:
            raise TypeError(f'unknown constraint {constraint!r}')
    for key, name in UNITS.items():
        value = prices.__dict__.get(key)
        if value is not None:
            res[name] = price(value)
    return res


def model(it):
    res = {'id': it.id, 'match': clause(it.match)}
    if it.name and it.name != it.id:
        res['name'] = it.name
    if isinstance(it.prices, types.ModelPrice):
        res['prices'] = [price_set(it.prices)]
    else:
        res['prices'] = [price_set(one.prices, one.constraint) for one in it.prices]
    return res


def table(date):
    head = {
        'source': 'genai-prices',
        'version': version('genai-prices'),
        'date': datetime.strptime(date, '%Y-%m-%d').date().isoformat(),
        'license': 'MIT, Copyright (c) Pydantic Services Inc. 2025 to present',
    }
    print(dump(head)[:-1] + ',"providers":[')
    # The order of providers and of a provider's models decides which one a name finds, so it is kept.
    for at, provider in enumerate(providers):
        res = {'id': provider.id, 'name': provider.name, 'url': regex(provider.api_pattern)['regex']}
        if provider.provider_match:
            res['match'] = clause(provider.provider_match)
        if provider.model_match:
            res['models_match'] = clause(provider.model_match)
        if provider.fallback_model_providers:
            res['fallback'] = provider.fallback_model_providers
        print(dump(res)[:-1] + ',"models":[')
        print(',\n'.join(dump(model(it)) for it in provider.models))
        print(']}' + (',' if at + 1 < len(providers) else ''))
    print(']}')


def references(provider, it, rng):
    """Names that people use for a model: those of its own clauses, with another case or a date at times."""
    names = [it.id]

    def collect(one):
        for attribute in ('equals', 'starts_with'):
            if hasattr(one, attribute):
                names.append(getattr(one, attribute))
        for attribute in ('or_', 'and_'):
            for inner in getattr(one, attribute, ()):
                collect(inner)

    collect(it.match)
    name = rng.choice(names)
    match rng.randrange(12):
        case 0:
            return name.upper()
        case 1:
            return name + '-20251211'
        case 2:
            return name + '-2025-08-07'
    return name


def has_tiers(prices):
    return any(isinstance(it, types.TieredPrices) for it in prices.__dict__.values())


def all_prices(it):
    return [it.prices] if isinstance(it.prices, types.ModelPrice) else [one.prices for one in it.prices]


def moment(it, rng):
    """Any time of two years; often one at the edge of a change of price."""
    at = datetime(2025, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=rng.randrange(2 * 365 * 86_400_000_000))
    if isinstance(it.prices, list) and rng.random() < 0.7:
        match constraint := rng.choice(it.prices).constraint:
            case types.StartDateConstraint():
                day = constraint.start_date
                at = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
                at += timedelta(microseconds=rng.choice([-1, 0, 1, -86_400_000_000, 86_399_999_999]))
            case types.TimeOfDateConstraint():
                edge = rng.choice([constraint.start_time, constraint.end_time])
                at = datetime.combine(at.date(), edge) + timedelta(microseconds=rng.choice([-1, 0, 1]))
    return at


def count(rng):
    return rng.choice([0, rng.randrange(1, 100), rng.randrange(100, 10_000), rng.randrange(10_000, 2_000_000)])


def usage(it, rng):
    prompt, completion = count(rng), count(rng)
    tiers = [tier.start for one in all_prices(it) for p in one.__dict__.values() if isinstance(p, types.TieredPrices) for tier in p.tiers]
    if tiers and rng.random() < 0.7:
        prompt = rng.choice(tiers) + rng.choice([-1, 0, 1, 12_345])
    cached = rng.randrange(prompt + 1) if rng.random() < 0.6 else None
    written = rng.randrange(prompt - (cached or 0) + 1) if rng.random() < 0.3 else None
    reasoning = rng.randrange(completion + 1) if rng.random() < 0.4 else None
    if rng.random() < 0.04:
        cached = prompt + 1 + rng.randrange(100)  # Nonsense, and to be called that.
    return prompt, completion, cached, written, reasoning


def case(provider, it, rng):
    provider_id = None if rng.random() < 0.15 else provider.id
    reference = references(provider, it, rng)
    at = moment(it, rng)
    prompt, completion, cached, written, reasoning = counts = usage(it, rng)
    names = ('input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_reasoning_tokens')
    given = {name: value for name, value in zip(names, counts) if value is not None}
    try:
        found = calc_price(Usage(**given), reference, provider_id=provider_id, genai_request_timestamp=at)
    except LookupError:
        outcome = 'not found'
    except ValueError:
        outcome = 'bad counts'
    else:
        prices = found.model_price
        # Here the package says 0 for what it has no price for, and we say that we do not know.
        unpriced = (prompt and prices.input_mtok is None) or (completion and prices.output_mtok is None)
        if unpriced or (prices.input_mtok is None and prices.output_mtok is None):
            outcome = 'no price'
        else:
            outcome = [
                found.provider.id,
                found.model.id,
                *(format(it.normalize(), 'f') for it in (found.input_price, found.output_price, found.total_price)),
            ]
    stamp = at.strftime('%Y-%m-%dT%H:%M:%S.%fZ')
    return [provider_id, reference, stamp, *counts, outcome]


def cases(seed, number):
    rng = random.Random(seed)
    every = [(provider, it) for provider in providers for it in provider.models]
    special = [
        (provider, it)
        for provider, it in every
        if isinstance(it.prices, list)
        or any(has_tiers(one) or 'output_reasoning_mtok' in one.__dict__ or 'requests_kcount' in one.__dict__ for one in all_prices(it))
    ]
    # Each provider at least once, then by turns any model and one whose price is no plain number.
    picked = [(provider, rng.choice(provider.models)) for provider in providers if provider.models]
    while len(picked) < number:
        picked.append(rng.choice(special if len(picked) % 2 else every))
    lines = [json.dumps(case(provider, it, rng), ensure_ascii=False) for provider, it in picked[:number]]
    print('[\n' + ',\n'.join(lines) + '\n]')


def license():
    [text] = [it for it in files('genai-prices') if it.name == 'LICENSE']
    print(text.read_text(), end='')


def main():
    match sys.argv[1:]:
        case ['table', date]:
            table(date)
        case ['cases', seed, number]:
            cases(int(seed), int(number))
        case ['license']:
            license()
        case _:
            sys.exit(__doc__)


if __name__ == '__main__':
    main()
