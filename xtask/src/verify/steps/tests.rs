//! Which steps each scope has.

use super::*;

fn names(scope: Scope) -> Vec<String> {
    let workspace = Workspace::find().unwrap();
    plan(&workspace, scope)
        .into_iter()
        .map(|step| step.name)
        .collect()
}

#[test]
fn each_scope_has_its_steps_in_order() {
    let standard = [
        "fmt",
        "clippy",
        "rustdoc",
        "unit",
        "doctests",
        "tier-1",
        "tier-2",
        "tier-3",
        "capabilities",
        "tidy",
    ];
    assert_eq!(names(Scope::Standard), standard);
    assert_eq!(
        names(Scope::Quick),
        [
            "fmt",
            "clippy",
            "unit",
            "tier-1",
            "tier-2",
            "tier-3",
            "capabilities",
            "tidy"
        ]
    );
    assert_eq!(names(Scope::Tier(2)), ["tier-2"]);
    let full = names(Scope::Full);
    assert_eq!(full[..standard.len()], standard);
    assert_eq!(
        full[standard.len()..],
        [
            "integration-again-1",
            "integration-again-2",
            "integration-again-3",
            "release-demo",
            "dependencies"
        ]
    );
}

#[test]
fn a_step_is_listed_with_its_commands() {
    let workspace = Workspace::find().unwrap();
    assert_eq!(
        integration(&workspace, Part::Tier(2)).to_string(),
        "tier-2\n    cargo build -p triscope --locked\n    \
         cargo test -p triscope-tests --test it --locked -- tier2_"
    );
}
