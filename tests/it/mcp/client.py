"""Uses a server as a supervising model's host would: `client.py URL`, or `client.py COMMAND ARGUMENT...`."""

import asyncio
import os
import sys
from contextlib import asynccontextmanager

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


@asynccontextmanager
async def target():
    if sys.argv[1].startswith("http"):
        headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
        async with httpx2.AsyncClient(headers=headers, timeout=120) as http:
            yield streamable_http_client(sys.argv[1], http_client=http)
    else:
        yield StdioServerParameters(command=sys.argv[1], args=sys.argv[2:])


async def use(mode):
    told, progress = [], []

    async def on_log(message):
        told.append(message)

    async def on_progress(done, total, message):
        progress.append((done, message))

    async with target() as server, Client(server, mode=mode, logging_callback=on_log) as client:
        assert client.server_info.name == "triscope", client.server_info
        assert "spawn_worker(task)" in client.instructions, client.instructions
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert len(tools) == 8, tools
        assert tools["list_workers"].annotations.read_only_hint is True
        assert tools["cancel_worker"].annotations.destructive_hint is True

        # The client itself checks each answer against the tool's output schema.
        async def call(tool, is_error=False, **arguments):
            result = await client.call_tool(tool, arguments, progress_callback=on_progress)
            assert result.is_error is is_error, result
            return result.content[0].text, result.structured_content

        text, data = await call("spawn_worker", task="calculate 7*6", wait=True)
        assert "Execution time: " in text and text.endswith("The result is 42."), text
        assert data["result"] == "The result is 42.", data
        job = data["job_id"]
        assert all("job %d" % job in message for _, message in progress), progress
        text, _ = await call("read_worker_result", job_id=job)
        assert text.startswith("Result from worker job %d " % job), text
        text, data = await call("list_workers")
        assert data["workers"][0]["job_id"] == job, data
        text, data = await call("read_worker_file", job_id=job, file_path="metrics.jsonl")
        assert '"event":"tool_call","tool":"calculate"' in data["text"], data
        text, data = await call("grep_workers", pattern="the result is 4[12]")
        assert data["matches"], data
        text, data = await call("get_worker_metadata", job_id=job)
        assert data["metadata"]["status"] == "success", data
        text, data = await call("worker_metrics", job_id=job)
        assert "LLM calls: " in text, text
        text, _ = await call("cancel_worker", is_error=True, job_id=job)
        assert "has ended already" in text, text
        text, _ = await call("read_worker_result", is_error=True, job_id=99)
        assert text == "Error: job 99 not found. Use list_workers to see job ids.", text

        uris = [resource.uri for resource in (await client.list_resources()).resources]
        result = next(uri for uri in uris if uri.endswith("/result.txt"))
        contents = (await client.read_resource(result)).contents
        assert contents[0].text == "The result is 42.", contents
        assert len((await client.list_resource_templates()).resource_templates) == 2
        try:
            await client.read_resource(result.replace("result.txt", "..%2f..%2fx"))
            raise AssertionError("a file outside of the worker's directory was read")
        except MCPError:
            pass
        if mode == "legacy":
            await client.send_ping()
            await client.set_logging_level("debug")
    print(mode + ": done")


for mode in ("legacy", "auto"):
    asyncio.run(use(mode))
