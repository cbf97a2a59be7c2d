//! What answers a client's requests: the protocol's methods on one side, an owner's supervisor tools on the other.

#![expect(
    deprecated,
    reason = "log messages are on their way out of the protocol; today's clients have them"
)]

use std::sync::Arc;

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest,
        CustomResult, ErrorCode, Implementation, ListResourceTemplatesResult, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
        ServerCapabilities, ServerConfig, SetLevelRequestParams, Tool,
    },
    service::RequestContext,
};
use serde_json::Value;
use supervisor_tools::{FullAnswer, RunBy, SUPERVISOR_PROMPT, Supervisor, SupervisorTools};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    log_messages::{Level, ToTell},
    outbox::Outbox,
    resources, tool_list,
};

/// Answers that are made at once. Each may take some megabytes.
const PARALLEL_ANSWERS: usize = 8;
/// What is given of a file at once. A tool's answer holds it twice, as text and as data, and some clients take no message
/// above 1 MiB.
pub(crate) const MAX_FILE_BYTES: usize = 256 << 10;

/// An owner's workers, for one client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct McpServer {
    pub(crate) supervisor: Supervisor,
    pub(crate) tools: SupervisorTools,
    owner: String,
    pub(crate) level: Level,
    pub(crate) to_tell: ToTell,
    pub(crate) outbox: Outbox,
    answering: Arc<Semaphore>,
}

impl McpServer {
    /// A server that sees `owner`'s workers alone, and runs what it is told to spawn as `supervisor` does.
    pub fn new(supervisor: Supervisor, owner: &str) -> Self {
        Self {
            tools: tools_of(&supervisor, owner),
            supervisor,
            owner: owner.to_owned(),
            level: Level::default(),
            to_tell: ToTell::default(),
            outbox: Outbox::default(),
            answering: Arc::new(Semaphore::new(PARALLEL_ANSWERS)),
        }
    }

    /// The same for another client of the same owner.
    pub(crate) fn for_session(&self) -> Self {
        Self {
            level: Level::default(),
            to_tell: ToTell::default(),
            ..self.clone()
        }
    }

    /// Makes a request's answer, its last one, once there is room for it.
    pub(crate) async fn in_turn<T>(
        &self,
        request: &CancellationToken,
        answer: impl Future<Output = T>,
    ) -> T {
        // Nobody closes the semaphore.
        let permit = Arc::clone(&self.answering).acquire_owned().await;
        self.outbox.room().await;
        let answer = answer.await;
        // It is being made until the transport has it: the library cancels the token then.
        let request = request.clone();
        tokio::spawn(async move {
            request.cancelled().await;
            drop(permit);
        });
        answer
    }

    async fn answer(
        &self,
        tool: &str,
        arguments: Value,
        context: &RequestContext<RoleServer>,
    ) -> FullAnswer {
        if tool == "spawn_worker" {
            return self.spawn(arguments, context).await;
        }
        let answer = self.tools.call_in_full(tool, &arguments);
        self.in_turn(&context.ct, answer).await
    }
}

/// The owner's tools, and with them the one decision who runs what they spawn: this process, unless there are others that
/// take jobs.
fn tools_of(supervisor: &Supervisor, owner: &str) -> SupervisorTools {
    let tools = supervisor.tools(Some(owner));
    tools
        .run_by(RunBy::TakersElseHere)
        .read_bytes(MAX_FILE_BYTES)
}

impl ServerHandler for McpServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_logging()
            .build();
        let this = Implementation::new("triscope", env!("CARGO_PKG_VERSION"))
            .with_title("triscope: workers and where their time goes");
        ServerConfig::new(capabilities)
            .with_server_info(this)
            .with_instructions(SUPERVISOR_PROMPT)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tool_list::all()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tool_list::all().into_iter().find(|it| it.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = &*request.name;
        if SupervisorTools::output_schema(tool).is_none() {
            // Its text names the tools that there are.
            let text = self.tools.call(tool, &Value::Null).await;
            return Err(ErrorData::invalid_params(without_prefix(&text), None));
        }
        let arguments = request.arguments.map_or(Value::Null, Value::Object);
        let answer = tokio::select! {
            biased;
            // Nobody is told any more; a worker goes on.
            () = context.ct.cancelled() => return Err(cancelled()),
            answer = self.answer(tool, arguments, &context) => answer,
        };
        let result = match answer {
            Ok(output) => {
                let mut result = CallToolResult::success(vec![ContentBlock::text(output.text)]);
                result.structured_content = Some(output.data);
                result
            }
            Err(failure) => CallToolResult::error(vec![ContentBlock::text(failure.to_string())]),
        };
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let cursor = request.and_then(|it| it.cursor);
        let list = resources::list(&self.supervisor, &self.owner, cursor.as_deref());
        tokio::select! {
            biased;
            () = context.ct.cancelled() => Err(cancelled()),
            list = self.in_turn(&context.ct, list) => list,
        }
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = resources::templates();
        Ok(ListResourceTemplatesResult::with_all_items(templates))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let contents = resources::read(&self.tools, &request.uri);
        tokio::select! {
            biased;
            () = context.ct.cancelled() => Err(cancelled()),
            contents = self.in_turn(&context.ct, contents) => contents,
        }
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.level.set(request.level);
        Ok(())
    }

    /// A request that the library could make nothing of: a method that there is not, or one with the wrong arguments.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        const METHODS: [&str; 8] = [
            "initialize",
            "tools/call",
            "tools/list",
            "resources/list",
            "resources/read",
            "resources/templates/list",
            "logging/setLevel",
            "ping",
        ];
        if METHODS.contains(&&*request.method) {
            let message = format!("the parameters of `{}` are not in order", request.method);
            return Err(ErrorData::invalid_params(message, None));
        }
        let method: String = request.method.chars().take(100).collect();
        let message = format!("there is no method `{}`", method.escape_debug());
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None))
    }
}

/// Whom it answers has gone: nobody gets to see this.
fn cancelled() -> ErrorData {
    ErrorData::internal_error("the request was cancelled", None)
}

/// A tool's error, where it is known to be one.
pub(crate) fn without_prefix(text: &str) -> String {
    text.strip_prefix("Error: ").unwrap_or(text).to_owned()
}
