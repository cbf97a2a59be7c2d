//! The tools as a client sees them: with hints about what they do, and schemas for what goes in and comes out.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::Value;
use supervisor_tools::SupervisorTools;

/// What a tool does to the world.
struct Hints {
    title: &'static str,
    /// It changes nothing.
    read_only: bool,
    /// What it changes is gone.
    destructive: bool,
    /// Calling it again changes nothing more.
    idempotent: bool,
    /// It reaches what is outside of triscope: a worker does what its task says.
    open_world: bool,
}

const READS: Hints = Hints {
    title: "",
    read_only: true,
    destructive: false,
    idempotent: true,
    open_world: false,
};

fn hints(tool: &str) -> Hints {
    match tool {
        "spawn_worker" => Hints {
            title: "Hand a task to a worker",
            read_only: false,
            destructive: true, // A worker's tools run commands.
            idempotent: false,
            open_world: true,
        },
        "cancel_worker" => Hints {
            title: "Stop a worker",
            read_only: false,
            destructive: true,
            idempotent: true,
            open_world: false,
        },
        "list_workers" => Hints {
            title: "List workers",
            ..READS
        },
        "read_worker_result" => Hints {
            title: "Read a worker's result",
            ..READS
        },
        "read_worker_file" => Hints {
            title: "Read a worker's file",
            ..READS
        },
        "grep_workers" => Hints {
            title: "Search all workers' files",
            ..READS
        },
        "get_worker_metadata" => Hints {
            title: "Read a worker's metadata",
            ..READS
        },
        "worker_metrics" => Hints {
            title: "See where a worker's time and tokens went",
            ..READS
        },
        // A client shall think the worst of what is not described here.
        _ => Hints {
            title: "",
            read_only: false,
            destructive: true,
            idempotent: false,
            open_world: true,
        },
    }
}

/// All tools.
pub(crate) fn all() -> Vec<Tool> {
    let definitions = SupervisorTools::definitions().into_iter();
    let tools = definitions.map(|it| {
        let hints = hints(&it.name);
        let annotations = ToolAnnotations::with_title(hints.title)
            .read_only(hints.read_only)
            .destructive(hints.destructive)
            .idempotent(hints.idempotent)
            .open_world(hints.open_world);
        let output = SupervisorTools::output_schema(&it.name).map(object);
        let mut tool = Tool::new(it.name, it.description, object(it.parameters));
        tool.title = Some(hints.title.to_owned());
        tool.output_schema = output;
        tool.annotations = Some(annotations);
        tool
    });
    tools.collect()
}

fn object(schema: Value) -> Arc<JsonObject> {
    match schema {
        Value::Object(fields) => Arc::new(fields),
        _ => Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn every_tool_is_described() {
        let tools = all();
        assert_eq!(tools.len(), 8);
        for tool in tools {
            assert!(tool.title.is_some_and(|it| !it.is_empty()), "{}", tool.name);
            for schema in [Some(tool.input_schema), tool.output_schema] {
                assert_eq!(schema.unwrap()["type"], "object", "{}", tool.name);
            }
        }
    }

    #[test]
    fn only_what_starts_or_stops_workers_changes_anything() {
        let changing = all().into_iter().filter(|it| {
            let annotations = it.annotations.as_ref().unwrap();
            annotations.read_only_hint == Some(false)
        });
        let names: Vec<_> = changing.map(|it| it.name).collect();
        assert_eq!(names, ["spawn_worker", "cancel_worker"]);
    }
}
