#!/usr/bin/env python3
"""The tools, resources and prompts that the conformance suite asks for, on the official Python SDK, mcp 1.x or 2.x,
whichever is installed.

usage: server.py PORT     http://127.0.0.1:PORT/mcp, with sessions
"""
import asyncio
import base64
import json
import sys
import warnings
from typing import Annotated

from mcp import types
from pydantic import Field

warnings.filterwarnings("ignore")
port = int(sys.argv[1])
try:
    from mcp.server.mcpserver import Context, MCPServer
    from mcp.server.mcpserver.prompts.base import UserMessage
    from mcp.shared.exceptions import MCPError

    mcp, modern = MCPServer("conformance-python-2", log_level="WARNING"), True
    lowlevel = mcp._lowlevel_server
except ImportError:
    from mcp.server.fastmcp import Context, FastMCP
    from mcp.server.fastmcp.prompts.base import UserMessage

    mcp, modern = FastMCP("conformance-python-1", host="127.0.0.1", port=port, log_level="WARNING"), False
    lowlevel = mcp._mcp_server

# One red pixel, and a WAVE file without samples
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
WAV = base64.b64encode(b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\0\0\0\0").decode()


# The two generations name their fields differently in Python and alike on the wire.
def wire(kind, **members):
    return getattr(types, kind).model_validate(members)


def text(value):
    return wire("TextContent", type="text", text=str(value))


def image():
    return wire("ImageContent", type="image", data=PNG, mimeType="image/png")


def resource(uri, mime_type, content):
    return wire("EmbeddedResource", type="resource", resource={"uri": uri, "mimeType": mime_type, "text": content})


def fields(**properties):
    return {"type": "object", "properties": properties, "required": []}


# --- tools --------------------------------------------------------------------------------------------------


def tool(function):
    """A tool whose description is its name; what it returns is content, never structured."""
    return mcp.tool(description=function.__name__, structured_output=False)(function)


@tool
def test_simple_text():
    return text("This is a simple text response for testing.")


@tool
def test_image_content():
    return image()


@tool
def test_audio_content():
    return wire("AudioContent", type="audio", data=WAV, mimeType="audio/wav")


@tool
def test_embedded_resource():
    return resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")


@tool
def test_multiple_content_types():
    data = resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    return [text("Multiple content types test:"), image(), data]


@tool
def test_error_handling():
    raise ValueError("This tool intentionally returns an error for testing")


async def log(ctx, line):
    await ctx.session.send_log_message(level="info", data=line, related_request_id=ctx.request_id)


@tool
async def test_tool_with_logging(ctx: Context):
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await log(ctx, line)
        await asyncio.sleep(0.05)
    return text("logged")


@tool
async def test_logging_tool(ctx: Context):
    await log(ctx, "a line for whoever asked")
    return text("logged")


@tool
async def test_tool_with_progress(ctx: Context):
    for progress in (0, 50, 100):
        await ctx.report_progress(progress, 100)
        await asyncio.sleep(0.05)
    return text("done")


@tool
async def test_sampling(prompt: str, ctx: Context):
    message = wire("SamplingMessage", role="user", content={"type": "text", "text": prompt})
    answer = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
    return text(f"LLM response: {answer.content.text}")


async def ask(ctx, message, schema):
    answer = await ctx.session.elicit(message, schema, related_request_id=ctx.request_id)
    return text(f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}")


@tool
async def test_elicitation(message: str, ctx: Context):
    return await ask(ctx, message, fields(username={"type": "string"}, email={"type": "string"}))


@tool
async def test_elicitation_sep1034_defaults(ctx: Context):
    schema = fields(
        name={"type": "string", "default": "John Doe"},
        age={"type": "integer", "default": 30},
        score={"type": "number", "default": 95.5},
        status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        verified={"type": "boolean", "default": True},
    )
    return await ask(ctx, "Defaults", schema)


@tool
async def test_elicitation_sep1330_enums(ctx: Context):
    options = ["option1", "option2", "option3"]
    titled = [{"const": f"value{i}", "title": f"{word} Option"} for i, word in enumerate(("First", "Second", "Third"), 1)]
    legacy = {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}
    schema = fields(
        untitledSingle={"type": "string", "enum": options},
        titledSingle={"type": "string", "oneOf": titled},
        legacyEnum=legacy,
        untitledMulti={"type": "array", "items": {"type": "string", "enum": options}},
        titledMulti={"type": "array", "items": {"anyOf": titled}},
    )
    return await ask(ctx, "Enums", schema)


@tool
async def test_reconnection(ctx: Context):
    """Ends its stream in the middle of the call, where the SDK can; the client comes back for the rest."""
    if hasattr(ctx, "close_sse_stream"):
        await ctx.close_sse_stream()
    await asyncio.sleep(0.1)
    return text("reconnected")


if modern:
    # Since 2026-07-28 a result asks for more.
    def required(state=None, **requests):
        asked = {key: {"method": method, "params": params} for key, (method, params) in requests.items()}
        return wire("InputRequiredResult", resultType="input_required", inputRequests=asked, requestState=state)

    def question(message, **properties):
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        return "elicitation/create", {"mode": "form", "message": message, "requestedSchema": schema}

    def sample(prompt, most):
        return "sampling/createMessage", {"messages": [{"role": "user", "content": {"type": "text", "text": prompt}}], "maxTokens": most}

    NAME = {"name": {"type": "string"}}
    ROOTS = ("roots/list", {})

    def answered(ctx, *keys):
        return all(key in (ctx.input_responses or {}) for key in keys)

    @tool
    async def test_input_required_result_elicitation(ctx: Context):
        if answered(ctx, "user_name") and (content := getattr(ctx.input_responses["user_name"], "content", None)):
            return text(f"Hello, {content['name']}!")
        return required(user_name=question("What is your name?", **NAME))

    @tool
    async def test_streaming_elicitation(ctx: Context):
        return await test_input_required_result_elicitation(ctx)

    @tool
    async def test_input_required_result_sampling(ctx: Context):
        if answered(ctx, "capital_question"):
            return text(ctx.input_responses["capital_question"].content.text)
        return required(capital_question=sample("What is the capital of France?", 100))

    @tool
    async def test_input_required_result_list_roots(ctx: Context):
        if answered(ctx, "client_roots"):
            return text([str(root.uri) for root in ctx.input_responses["client_roots"].roots])
        return required(client_roots=ROOTS)

    # The SDK seals what it sends as requestState, and refuses what it did not seal.
    @tool
    async def test_input_required_result_request_state(ctx: Context):
        if answered(ctx, "confirm") and ctx.request_state == "confirming":
            return text("state-ok")
        return required("confirming", confirm=question("Please confirm", ok={"type": "boolean"}))

    @tool
    async def test_input_required_result_tampered_state(ctx: Context):
        return await test_input_required_result_request_state(ctx)

    @tool
    async def test_input_required_result_multiple_inputs(ctx: Context):
        if answered(ctx, "user_name", "greeting", "client_roots"):
            return text("all three")
        return required("asked", user_name=question("What is your name?", **NAME), greeting=sample("Generate a greeting", 50), client_roots=ROOTS)

    @tool
    async def test_input_required_result_multi_round(ctx: Context):
        if ctx.request_state == "1" and answered(ctx, "step1"):
            return required("2", step2=question("Step 2: What is your favorite color?", color={"type": "string"}))
        if ctx.request_state == "2" and answered(ctx, "step2"):
            return text("done")
        return required("1", step1=question("Step 1: What is your name?", **NAME))

    @tool
    async def test_input_required_result_capabilities(ctx: Context):
        can, requests = ctx.client_capabilities, {}
        if can and can.elicitation:
            requests["user_name"] = question("What is your name?", **NAME)
        if can and can.sampling:
            requests["greeting"] = sample("Generate a greeting", 50)
        return required(**requests) if requests and not ctx.input_responses else text("done")

    @tool
    async def test_missing_capability(ctx: Context):
        if ctx.client_capabilities and ctx.client_capabilities.sampling:
            return text("sampling")
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "sampling is needed", {"requiredCapabilities": {"sampling": {}}})

    @tool
    def test_mirrored_argument(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]):
        return text(region)

    @tool
    async def test_trigger_tool_change(ctx: Context):
        await ctx.notify_tools_changed()
        return text("changed")

    @tool
    async def test_trigger_prompt_change(ctx: Context):
        await ctx.notify_prompts_changed()
        return text("changed")

    @mcp.prompt(description="asks first")
    async def test_input_required_result_prompt(ctx: Context):
        if answered(ctx, "user_context"):
            return "Here you are."
        return required(user_context=question("What context should the prompt use?", context={"type": "string"}))


# --- resources ----------------------------------------------------------------------------------------------


@mcp.resource("test://static-text", description="text", mime_type="text/plain")
def static_text() -> str:
    return "This is the content of the static text resource."


@mcp.resource("test://static-binary", description="binary", mime_type="image/png")
def static_binary() -> bytes:
    return base64.b64decode(PNG)


@mcp.resource("test://watched-resource", description="watched", mime_type="text/plain")
def watched() -> str:
    return "watched"


@mcp.resource("test://template/{id}/data", description="template", mime_type="application/json")
def template(id: str) -> str:
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


# --- prompts ------------------------------------------------------------------------------------------------


@mcp.prompt(description="simple")
def test_simple_prompt():
    return [UserMessage(text("This is a simple prompt for testing."))]


@mcp.prompt(description="arguments")
def test_prompt_with_arguments(arg1: str, arg2: str):
    return [UserMessage(text(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]


@mcp.prompt(description="resource")
def test_prompt_with_embedded_resource(resourceUri: str):
    embedded = resource(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [UserMessage(embedded), UserMessage(text("Please process the embedded resource above."))]


@mcp.prompt(description="image")
def test_prompt_with_image():
    return [UserMessage(image()), UserMessage(text("Please analyze the image above."))]


@mcp.completion()
async def complete(ref, argument, context):
    return types.Completion(values=[word for word in ("paris", "park", "party") if word.startswith(argument.value)])


# --- what only the low-level server knows -------------------------------------------------------------------

if modern:
    async def nothing(ctx, params):
        return types.EmptyResult()

    lowlevel.add_request_handler("logging/setLevel", types.SetLevelRequestParams, nothing)
    lowlevel.add_request_handler("resources/subscribe", types.SubscribeRequestParams, nothing)
    lowlevel.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, nothing)
    mcp.run(transport="streamable-http", host="127.0.0.1", port=port)
else:
    async def nothing(argument):
        return None

    lowlevel.set_logging_level()(nothing)
    lowlevel.subscribe_resource()(nothing)
    lowlevel.unsubscribe_resource()(nothing)
    mcp.run(transport="streamable-http")
