package api

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

// documentName is where the description of the commands is.
const documentName = "openapi.json"

// object is one of JSON. It is written in the order of its names.
type object = map[string]any

// appendDocument appends a description of commands, which are those that the caller may
// run in the version of a target.
// See the OpenAPI Specification 3.1.1.
func appendDocument(b []byte, mount string, t target, commands []command.Command) ([]byte, error) {
	paths := object{}
	var tags []string
	for i := range commands {
		c := &commands[i]
		paths["/"+c.Name+t.suffix] = object{"post": operation(c, t.version)}
		tags = append(tags, c.Tags...)
	}
	slices.Sort(tags)
	named := []object{}
	for _, tag := range slices.Compact(tags) {
		named = append(named, object{"name": tag})
	}
	version := "newest"
	if t.version != command.Newest {
		version = strconv.Itoa(t.version)
	}
	document := object{
		"openapi":    "3.1.0",
		"info":       object{"title": "Commands", "version": version},
		"paths":      paths,
		"tags":       named,
		"security":   []object{{}, {"basic": []string{}}, {"bearer": []string{}}},
		"components": components(),
	}
	if mount != "/" {
		document["servers"] = []object{{"url": (&url.URL{Path: mount}).EscapedPath()}}
	}
	text, err := json.Marshal(document)
	return append(b, text...), err
}

// components are what all operations refer to.
func components() object {
	text := object{"type": "string", "description": "What is wrong."}
	coded := object{
		"type":     "object",
		"required": []string{"status", "code", "message"},
		"properties": object{
			"status":  object{"const": "error"},
			"code":    object{"type": "integer", "description": "A number that programs know."},
			"message": text,
		},
	}
	response := func(description string) object {
		schema := object{"anyOf": []object{reference("schemas", "Text"), reference("schemas", "Coded")}}
		return object{"description": description, "content": content(schema)}
	}
	return object{
		"schemas": object{"Text": text, "Coded": coded},
		"responses": object{
			"BadRequest":   response("An argument is missing, of another type, or not possible."),
			"Unauthorized": response("The credentials are wrong, or the command does not allow it."),
			"Forbidden":    response("The caller may not run the command."),
			"NotFound":     response("There is no such command, or what it is about does not exist."),
			"Conflict":     response("There is such a thing already, or something is in the way."),
			"TooLarge":     response("The body is too large."),
			"Failed":       response("An error of the server."),
			"Unavailable":  response("Credentials cannot be checked now."),
		},
		"securitySchemes": object{
			"basic":  object{"type": "http", "scheme": "basic", "description": "The user is an address, as in user@host."},
			"bearer": object{"type": "http", "scheme": "bearer", "description": "An OAuth token."},
		},
	}
}

func reference(kind, name string) object { return object{"$ref": "#/components/" + kind + "/" + name} }

func content(schema object) object {
	return object{"application/json": object{"schema": schema}}
}

// operation describes a command.
func operation(c *command.Command, version int) object {
	o := object{
		"operationId": c.Name,
		"requestBody": object{"required": true, "content": content(arguments(c))},
		"responses": object{
			"200": object{"description": "The command was run.", "content": content(resultSchema(&c.Result, version))},
			"400": reference("responses", "BadRequest"),
			"401": reference("responses", "Unauthorized"),
			"403": reference("responses", "Forbidden"),
			"404": reference("responses", "NotFound"),
			"409": reference("responses", "Conflict"),
			"413": reference("responses", "TooLarge"),
			"500": reference("responses", "Failed"),
			"503": reference("responses", "Unavailable"),
		},
	}
	if c.Description != "" {
		o["description"] = c.Description
	}
	if len(c.Tags) > 0 {
		o["tags"] = c.Tags
	}
	return o
}

// arguments describes the arguments of a command.
func arguments(c *command.Command) object {
	properties, required := object{}, []string{}
	for i := range c.Args {
		f := &c.Args[i]
		s := schema(f)
		list, isList := f.Type.(command.List)
		if !isList {
			required = append(required, f.Name)
		} else if _, value, ok := pair(list); ok {
			s = described(object{"anyOf": []object{schema(f), {"type": "object", "additionalProperties": schema(value)}}}, f)
		}
		properties[f.Name] = s
	}
	return structure(properties, required)
}

func structure(properties object, required []string) object {
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// resultSchema describes the result of a command.
func resultSchema(f *command.Field, version int) object {
	if version == 0 && (f.Type == command.Integer || f.Type == command.String) {
		return structure(object{f.Name: schema(f)}, []string{f.Name})
	}
	return schemaOf(f, true)
}

// schema describes an argument or a part of one.
func schema(f *command.Field) object { return schemaOf(f, false) }

// schemaOf describes a value. Lists of names with values are objects in results.
func schemaOf(f *command.Field, result bool) object {
	var s object
	switch t := f.Type.(type) {
	case command.List:
		if _, value, ok := property(t); ok && result {
			s = object{"type": "object", "additionalProperties": schemaOf(value, true)}
		} else {
			s = object{"type": "array", "items": schemaOf(&t.Of, result)}
		}
	case command.Tuple:
		properties, required := object{}, []string{}
		for i := range t {
			properties[t[i].Name] = schemaOf(&t[i], result)
			required = append(required, t[i].Name)
		}
		s = structure(properties, required)
	default:
		s = scalar(t)
	}
	return described(s, f)
}

func scalar(t command.Type) object {
	switch t {
	case command.Integer:
		return object{"type": "integer"}
	case command.ResCode:
		return object{"type": "integer", "enum": []int{0, 1}, "description": "0: the command was successful."}
	}
	return object{"type": "string"}
}

func described(s object, f *command.Field) object {
	if f.Description != "" {
		s["description"] = f.Description
	}
	return s
}
