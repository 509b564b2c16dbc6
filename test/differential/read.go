// What Go backends understand of bodies; see README.md of this directory for the lines that are read and printed.
// go: json.Unmarshal, params kept raw until the method is known, as SDKs do; go-decoder: the same with json.Decoder;
// go-whole: one struct for everything. An argument is another word for "go" in these names.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"os"
)

type envelope struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  *string         `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   json.RawMessage `json:"error"`
}

type meta struct {
	Version *string `json:"io.modelcontextprotocol/protocolVersion"`
}

type withMeta struct {
	Meta meta `json:"_meta"`
}

type nameParams struct {
	Name string `json:"name"`
}

type uriParams struct {
	URI string `json:"uri"`
}

type taskParams struct {
	TaskID string `json:"taskId"`
}

type reference struct {
	Type string `json:"type"`
	Name string `json:"name"`
	URI  string `json:"uri"`
}

type refParams struct {
	Ref reference `json:"ref"`
}

type filter struct {
	Resources        []string `json:"resourceSubscriptions"`
	Tasks            []string `json:"taskIds"`
	ToolsChanged     bool     `json:"toolsListChanged"`
	PromptsChanged   bool     `json:"promptsListChanged"`
	ResourcesChanged bool     `json:"resourcesListChanged"`
}

type listenParams struct {
	Notifications filter `json:"notifications"`
}

type whole struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  *string         `json:"method"`
	Params  struct {
		withMeta
		nameParams
		uriParams
		taskParams
		refParams
		listenParams
	} `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

type fields map[string]any

type unmarshal func([]byte, any) error

func decode(data []byte, v any) error {
	return json.NewDecoder(bytes.NewReader(data)).Decode(v)
}

func refOperand(ref reference) (fields, error) {
	switch ref.Type {
	case "ref/prompt":
		return fields{"type": ref.Type, "name": ref.Name}, nil
	case "ref/resource":
		return fields{"type": ref.Type, "uri": ref.URI}, nil
	}
	return nil, errors.New("unknown ref")
}

func listenOperand(f filter) fields {
	return fields{
		"resourceSubscriptions": append([]string{}, f.Resources...),
		"taskIds":               append([]string{}, f.Tasks...),
		"more":                  f.ToolsChanged || f.PromptsChanged || f.ResourcesChanged,
	}
}

func readOperand(parse unmarshal, method string, params []byte) (any, error) {
	if len(params) == 0 {
		params = []byte("{}")
	}
	switch method {
	case "tools/call", "prompts/get":
		var v nameParams
		err := parse(params, &v)
		return fields{"name": v.Name}, err
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		var v uriParams
		err := parse(params, &v)
		return fields{"uri": v.URI}, err
	case "tasks/get", "tasks/cancel", "tasks/result", "tasks/update", "notifications/tasks/status":
		var v taskParams
		err := parse(params, &v)
		return fields{"taskId": v.TaskID}, err
	case "completion/complete":
		var v refParams
		if err := parse(params, &v); err != nil {
			return nil, err
		}
		return refOperand(v.Ref)
	case "subscriptions/listen":
		var v listenParams
		err := parse(params, &v)
		return listenOperand(v.Notifications), err
	}
	return nil, nil
}

func wholeOperand(method string, v *whole) (any, error) {
	switch method {
	case "tools/call", "prompts/get":
		return fields{"name": v.Params.Name}, nil
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		return fields{"uri": v.Params.URI}, nil
	case "tasks/get", "tasks/cancel", "tasks/result", "tasks/update", "notifications/tasks/status":
		return fields{"taskId": v.Params.TaskID}, nil
	case "completion/complete":
		return refOperand(v.Params.Ref)
	case "subscriptions/listen":
		return listenOperand(v.Params.Notifications), nil
	}
	return nil, nil
}

func readID(raw json.RawMessage) (any, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] == '"' {
		var s string
		err := json.Unmarshal(raw, &s)
		return "s" + s, err
	}
	if n, ok := new(big.Int).SetString(string(raw), 10); ok {
		return "n" + n.String(), nil
	}
	return nil, errors.New("id is neither string nor integer")
}

func failed(err error) fields {
	return fields{"error": err.Error()}
}

// What both ways have in common; the rest of a request is up to the caller.
func readEnvelope(e *envelope) (fields, bool) {
	id, err := readID(e.ID)
	if err != nil {
		return failed(err), false
	}
	if e.JSONRPC != "2.0" {
		return fields{"error": "not JSON-RPC 2.0"}, false
	}
	if e.Method == nil {
		if e.Result == nil && e.Error == nil {
			return fields{"error": "neither request nor response"}, false
		}
		return fields{"id": id, "method": nil}, false
	}
	return fields{"id": id, "method": *e.Method}, true
}

func readMessage(parse unmarshal, data []byte) fields {
	var e envelope
	if err := parse(data, &e); err != nil {
		return failed(err)
	}
	message, isCall := readEnvelope(&e)
	if !isCall {
		return message
	}
	operand, err := readOperand(parse, *e.Method, e.Params)
	if err != nil {
		return failed(err)
	}
	var m withMeta
	if len(e.Params) > 0 {
		if err := parse(e.Params, &m); err != nil {
			return failed(err)
		}
	}
	message["operand"] = operand
	message["version"] = m.Meta.Version
	return message
}

func readWhole(data []byte) fields {
	var w whole
	if err := json.Unmarshal(data, &w); err != nil {
		return failed(err)
	}
	message, isCall := readEnvelope(&envelope{JSONRPC: w.JSONRPC, ID: w.ID, Method: w.Method, Result: w.Result, Error: w.Error})
	if !isCall {
		return message
	}
	operand, err := wholeOperand(*w.Method, &w)
	if err != nil {
		return failed(err)
	}
	message["operand"] = operand
	message["version"] = w.Params.Meta.Version
	return message
}

// Arrays are told from objects by their first character, as the SDK does.
func read(parse unmarshal, one func([]byte) fields, body []byte) fields {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if len(trimmed) == 0 || trimmed[0] != '[' {
		message := one(body)
		if _, bad := message["error"]; bad {
			return message
		}
		return fields{"batch": false, "messages": []fields{message}}
	}
	var raw []json.RawMessage
	if err := parse(body, &raw); err != nil {
		return failed(err)
	}
	messages := []fields{}
	for _, data := range raw {
		messages = append(messages, one(data))
	}
	return fields{"batch": true, "messages": messages}
}

func main() {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriter(os.Stdout)
	print, name := json.NewEncoder(out), "go"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	unmarshalOne := func(data []byte) fields { return readMessage(json.Unmarshal, data) }
	decodeOne := func(data []byte) fields { return readMessage(decode, data) }
	for {
		var length uint32
		err := binary.Read(in, binary.BigEndian, &length)
		if err == io.EOF {
			return
		}
		body := make([]byte, length)
		if _, full := io.ReadFull(in, body); err != nil || full != nil {
			os.Exit(2)
		}
		readings := fields{
			name:              read(json.Unmarshal, unmarshalOne, body),
			name + "-decoder": read(decode, decodeOne, body),
			name + "-whole":   read(json.Unmarshal, readWhole, body),
		}
		if print.Encode(readings) != nil || out.Flush() != nil {
			os.Exit(2)
		}
	}
}
