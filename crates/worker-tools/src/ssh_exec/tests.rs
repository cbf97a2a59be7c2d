//! Targets, and the client's command line. What a real server makes of it is tried from outside.

use std::{ffi::OsStr, path::PathBuf};

use proptest::prelude::*;
use serde_json::json;
use worker_runner::{Tool, ToolError};

use super::{SshExec, SshExecOptions, SshTarget, client};

#[test]
fn targets_are_read() {
    for (text, name, address, port) in [
        (
            "web=deploy@web1.example",
            "web",
            "deploy@web1.example:22",
            22,
        ),
        (
            "a.b-c_1=u.v-w_2@10.0.0.1:2222",
            "a.b-c_1",
            "u.v-w_2@10.0.0.1:2222",
            2222,
        ),
        ("six=me@[fd00::7]", "six", "me@[fd00::7]:22", 22),
        ("six=me@[::1]:65535", "six", "me@[::1]:65535", 65_535),
    ] {
        let target: SshTarget = text.parse().unwrap();
        assert_eq!((target.name(), target.port()), (name, port));
        assert_eq!(target.to_string(), address);
        assert_eq!(format!("{name}={target}").parse(), Ok(target));
    }
}

fn arguments(options: &SshExecOptions, text: &str) -> Vec<String> {
    let command = client::command(&options.targets[0], text, options).unwrap();
    let arguments = command.as_std().get_args();
    arguments
        .map(|it| it.to_str().unwrap().to_owned())
        .collect()
}

fn options() -> SshExecOptions {
    SshExecOptions {
        targets: vec!["box=me@host.example:2222".parse().unwrap()],
        ..SshExecOptions::default()
    }
}

#[test]
fn the_client_gets_the_host_and_one_argument_behind_the_options() {
    let arguments = arguments(&options(), "-oProxyCommand=id 'x'");
    assert_eq!(arguments[..2], ["-F", "none"]);
    let [.., end, host, command] = &arguments[..] else {
        panic!("{arguments:?}");
    };
    assert_eq!((&**end, &**host), ("--", "host.example"));
    assert!(
        command.starts_with("exec sh -c '")
            && command.ends_with(r" sh '-oProxyCommand=id '\''x'\'''")
    );
    for setting in [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ForwardAgent=no",
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
    ] {
        assert!(arguments.iter().any(|it| it == setting), "{setting}");
    }
}

#[test]
fn files_are_the_only_ones_and_cannot_mean_more_than_themselves() {
    let options = SshExecOptions {
        identity: Some(PathBuf::from("/keys/my %h key")),
        known_hosts: Some(PathBuf::from("/keys/known")),
        config: Some(PathBuf::from("/keys/config")),
        ..options()
    };
    let arguments = arguments(&options, "true");
    assert_eq!(arguments[..2], ["-F", "/keys/config"]);
    for setting in [
        "IdentityFile=\"/keys/my %%h key\"",
        "IdentitiesOnly=yes",
        "UserKnownHostsFile=\"/keys/known\"",
        "GlobalKnownHostsFile=none",
    ] {
        assert!(
            arguments.iter().any(|it| it == setting),
            "{setting}: {arguments:?}"
        );
    }
    for path in ["/a\"b", "/a\\b", "/${HOME}", "/a\nb"] {
        let options = SshExecOptions {
            identity: Some(PathBuf::from(path)),
            ..options.clone()
        };
        let err = client::command(&options.targets[0], "true", &options).unwrap_err();
        assert!(matches!(err, ToolError::Configuration(_)), "{err}");
    }
}

#[tokio::test]
async fn who_is_no_target_is_not_asked() {
    let tool = SshExec::new(SshExecOptions {
        program: PathBuf::from("/nonexistent/ssh"),
        ..options()
    });
    for host in ["", "host.example", "me@host.example", "-V", "BOX"] {
        let err = tool
            .call(json!({"host": host, "command": "true"}))
            .await
            .unwrap_err();
        assert!(
            err.to_string().contains("`host` must be one of `box`"),
            "{err}"
        );
    }
    let err = tool
        .call(json!({"host": "box", "command": "true"}))
        .await
        .unwrap_err();
    assert_eq!(
        err,
        ToolError::Configuration(
            "there is no `/nonexistent/ssh`; install OpenSSH's client (Debian: openssh-client)"
                .to_owned()
        )
    );
    for command in ["", " ", "a\0b"] {
        let err = tool
            .call(json!({"host": "box", "command": command}))
            .await
            .unwrap_err();
        assert!(matches!(err, ToolError::BadArguments(_)), "{err}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_target_that_could_be_an_option_or_shell(text in "[-a=@:.\\[\\]0-9% $;]{0,24}|.*") {
        if let Ok(target) = text.parse::<SshTarget>() {
            for word in [target.name(), target.user(), target.host()] {
                prop_assert!(!word.is_empty() && !word.starts_with('-'));
                prop_assert!(word.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-:".contains(&it)));
            }
        }
    }

    /// Whatever the command is, a shell reads it back as one word.
    #[test]
    fn a_command_is_one_word_of_the_other_shell(text in "['\"\\\\ $a\n!`]{1,12}") {
        let arguments = arguments(&options(), &text);
        let line = arguments.last().unwrap().replace("exec sh -c ", "set -- ");
        let printed = std::process::Command::new("sh")
            .args([OsStr::new("-c"), OsStr::new(&format!("{line}; printf '%s' \"$3\""))])
            .output()
            .unwrap();
        prop_assert_eq!(String::from_utf8(printed.stdout).unwrap(), text);
    }
}
