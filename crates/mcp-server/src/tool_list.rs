//! The tools as a client sees them: with hints about what they do, and schemas for what goes in and comes out.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::Value;
use supervisor_tools::SupervisorTools;

/// What a tool does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// None: it reads.
    Reads,
    /// It ends what runs; doing so again changes nothing more.
    Stops,
    /// Whatever its task makes a worker do: its tools run commands and reach the network.
    Anything,
}

fn title_and_effect(tool: &str) -> (&'static str, Effect) {
    match tool {
        "spawn_worker" => ("Hand a task to a worker", Effect::Anything),
        "cancel_worker" => ("Stop a worker", Effect::Stops),
        "list_workers" => ("List workers", Effect::Reads),
        "read_worker_result" => ("Read a worker's result", Effect::Reads),
        "read_worker_file" => ("Read a worker's file", Effect::Reads),
        "grep_workers" => ("Search all workers' files", Effect::Reads),
        "get_worker_metadata" => ("Read a worker's metadata", Effect::Reads),
        "worker_metrics" => ("See where a worker's time and tokens went", Effect::Reads),
        // A client shall think the worst of what is not described here.
        _ => ("", Effect::Anything),
    }
}

/// All tools.
pub(crate) fn all() -> Vec<Tool> {
    let definitions = SupervisorTools::definitions().into_iter();
    let tools = definitions.map(|it| {
        let (title, effect) = title_and_effect(&it.name);
        let annotations = ToolAnnotations::with_title(title)
            .read_only(effect == Effect::Reads)
            .destructive(effect != Effect::Reads)
            .idempotent(effect != Effect::Anything)
            .open_world(effect == Effect::Anything);
        let output = SupervisorTools::output_schema(&it.name).map(object);
        let mut tool = Tool::new(it.name, it.description, object(it.parameters));
        tool.title = Some(title.to_owned());
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
