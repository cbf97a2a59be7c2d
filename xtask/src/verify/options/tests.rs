//! Every option, and the combinations that make no sense.

use super::*;

fn parsed(words: &str) -> Result<Request, String> {
    parse(
        &words
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    )
}

fn run(scope: Scope) -> Request {
    Request::Run(Options {
        scope,
        list: false,
        verbose: false,
    })
}

#[test]
fn each_scope_has_its_option() {
    assert_eq!(parsed(""), Ok(run(Scope::Standard)));
    assert_eq!(parsed("--quick"), Ok(run(Scope::Quick)));
    assert_eq!(parsed("--full"), Ok(run(Scope::Full)));
    assert_eq!(parsed("--tier 2"), Ok(run(Scope::Tier(2))));
    assert_eq!(parsed("--tier=3"), Ok(run(Scope::Tier(3))));
}

#[test]
fn listing_and_verbosity_go_with_any_scope() {
    let options = Options {
        scope: Scope::Full,
        list: true,
        verbose: true,
    };
    assert_eq!(parsed("-v --full --list"), Ok(Request::Run(options)));
    assert_eq!(parsed("--full --help"), Ok(Request::Help));
}

#[test]
fn wrong_words_are_named() {
    assert_eq!(parsed("--ful"), Err("no option `--ful`".into()));
    assert_eq!(
        parsed("--tier 4"),
        Err("`--tier` is 1, 2 or 3, not `4`".into())
    );
    assert_eq!(
        parsed("--tier"),
        Err("`--tier` is 1, 2 or 3, not ``".into())
    );
    let one_only = Err("only one of `--quick`, `--full` and `--tier` at a time".into());
    assert_eq!(parsed("--quick --full"), one_only);
    assert_eq!(parsed("--tier 1 --tier 2"), one_only);
}
