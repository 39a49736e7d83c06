package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/listen/command"
)

// description is the part of a document that the tests look at.
type description struct {
	OpenAPI string
	Info    struct{ Title, Version string }
	Servers []struct{ URL string }
	Paths   map[string]map[string]operationObject
	Tags    []struct{ Name string }
}

type operationObject struct {
	OperationID string
	Description string
	Tags        []string
	RequestBody struct {
		Required bool
		Content  map[string]struct{ Schema any }
	}
	Responses map[string]struct {
		Content map[string]struct{ Schema any }
	}
}

func describe(t *testing.T, h http.Handler, r *http.Request) description {
	t.Helper()
	w := do(h, r)
	if w.Code != 200 {
		t.Fatalf("got %d and %s", w.Code, w.Body)
	}
	var d description
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	validate(t, w.Body.Bytes())
	return d
}

// validate sees that a document keeps the rules of OpenAPI 3.1 that concern what we use.
func validate(t *testing.T, b []byte) {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	v := &validator{t, d}
	v.fields("", d, "openapi info paths", "tags servers security components")
	info := d["info"].(map[string]any)
	v.fields("info", info, "title version", "")
	if d["openapi"] != "3.1.0" {
		t.Errorf("got the version %v, want 3.1.0", d["openapi"])
	}
	components := d["components"].(map[string]any)
	v.fields("components", components, "", "schemas responses securitySchemes")
	for name, s := range components["schemas"].(map[string]any) {
		v.schema("schema "+name, s)
	}
	for name, r := range components["responses"].(map[string]any) {
		v.response("response "+name, r)
	}
	schemes := components["securitySchemes"].(map[string]any)
	for name, s := range schemes {
		v.fields("security scheme "+name, s.(map[string]any), "type scheme", "description")
	}
	for _, choice := range d["security"].([]any) {
		for name := range choice.(map[string]any) {
			if schemes[name] == nil {
				t.Errorf("there is no security scheme %s", name)
			}
		}
	}
	for _, s := range list(d["servers"]) {
		v.fields("server", s.(map[string]any), "url", "")
	}
	v.paths(d)
}

type validator struct {
	t        *testing.T
	document map[string]any
}

// fields sees that an object has the fields that it must have, and no others than it may.
func (v *validator) fields(where string, o map[string]any, must, may string) {
	v.t.Helper()
	for _, name := range strings.Fields(must) {
		if o[name] == nil {
			v.t.Errorf("%s has no %s", where, name)
		}
	}
	all := strings.Fields(must + " " + may)
	for name := range o {
		if !slices.Contains(all, name) {
			v.t.Errorf("%s has %s, which is nothing of OpenAPI", where, name)
		}
	}
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func (v *validator) paths(d map[string]any) {
	var tags []string
	for _, tag := range list(d["tags"]) {
		v.fields("tag", tag.(map[string]any), "name", "")
		tags = append(tags, tag.(map[string]any)["name"].(string))
	}
	if !slices.IsSorted(tags) || len(slices.Compact(slices.Clone(tags))) != len(tags) {
		v.t.Errorf("the tags are %q, want each once in order", tags)
	}
	ids := map[string]bool{}
	for path, item := range d["paths"].(map[string]any) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "{}?#") {
			v.t.Errorf("%s is no path", path)
		}
		for method, o := range item.(map[string]any) {
			op := o.(map[string]any)
			where := method + " " + path
			v.fields(where, op, "operationId requestBody responses", "description tags")
			id := op["operationId"].(string)
			if ids[id] {
				v.t.Errorf("the operationId %s is there twice", id)
			}
			ids[id] = true
			for _, tag := range list(op["tags"]) {
				if !slices.Contains(tags, tag.(string)) {
					v.t.Errorf("%s: the tag %s is not declared", where, tag)
				}
			}
			body := op["requestBody"].(map[string]any)
			v.fields(where+": body", body, "content", "required")
			v.content(where+": body", body["content"])
			for status, r := range op["responses"].(map[string]any) {
				if len(status) != 3 || status < "200" || status > "599" {
					v.t.Errorf("%s: %s is no status", where, status)
				}
				v.response(where+": "+status, r)
			}
		}
	}
}

func (v *validator) response(where string, r any) {
	o := r.(map[string]any)
	if v.reference(where, o, "responses") {
		return
	}
	v.fields(where, o, "description", "content")
	v.content(where, o["content"])
}

func (v *validator) content(where string, c any) {
	for mediaType, m := range c.(map[string]any) {
		o := m.(map[string]any)
		v.fields(where+": "+mediaType, o, "schema", "")
		v.schema(where, o["schema"])
	}
}

// reference reports whether an object is a reference, which it sees to resolve.
func (v *validator) reference(where string, o map[string]any, kind string) bool {
	ref, ok := o["$ref"].(string)
	if !ok {
		return false
	}
	name, ok := strings.CutPrefix(ref, "#/components/"+kind+"/")
	if !ok || v.document["components"].(map[string]any)[kind].(map[string]any)[name] == nil || len(o) > 1 {
		v.t.Errorf("%s: %v leads nowhere", where, o)
	}
	return true
}

func (v *validator) schema(where string, s any) {
	o := s.(map[string]any)
	if v.reference(where, o, "schemas") {
		return
	}
	v.fields(where, o, "", "type description properties required additionalProperties items anyOf enum const")
	switch o["type"] {
	case "object":
		properties, _ := o["properties"].(map[string]any)
		for name, p := range properties {
			v.schema(where+"."+name, p)
		}
		for _, name := range list(o["required"]) {
			if properties[name.(string)] == nil {
				v.t.Errorf("%s: %s is required, but no property", where, name)
			}
		}
		if more, ok := o["additionalProperties"].(map[string]any); ok {
			v.schema(where+".*", more)
		}
	case "array":
		v.schema(where+"[]", o["items"])
	case "string", "integer":
	case nil:
		if o["anyOf"] == nil && o["const"] == nil {
			v.t.Errorf("%s: %v says nothing", where, o)
		}
	default:
		v.t.Errorf("%s: there is no type %v", where, o["type"])
	}
	for _, choice := range list(o["anyOf"]) {
		v.schema(where+"|", choice)
	}
}

func names(d description) string {
	return strings.Join(slices.Sorted(maps.Keys(d.Paths)), " ")
}

func TestDocument(t *testing.T) {
	some := func(_ acl.Subject, c acl.Command) bool {
		return slices.Contains(c.Tags, "statistics") || c.Name == "registered_users" && c.Host == ""
	}
	tests := []struct {
		name    string
		may     permissions
		mount   string
		rest    string
		paths   string
		server  string
		version string
		tags    int
	}{
		{"some", some, "/api", "openapi.json", "/connected_users_number /registered_users /versions", "/api", "newest", 2},
		{"version in the path", some, "/api", "openapi.json/v2", "/connected_users_number/v2 /registered_users/v2 /versions/v2", "/api", "2", 2},
		{"version in the mount", some, "/a b/v2", "openapi.json", "/connected_users_number /registered_users /versions", "/a%20b/v2", "2", 2},
		{"of everything", some, "/", "openapi.json", "/connected_users_number /registered_users /versions", "", "newest", 2},
		{"nothing", func(acl.Subject, acl.Command) bool { return false }, "/api", "openapi.json", "", "/api", "newest", 0},
		{"by the tag of the listener", func(s acl.Subject, c acl.Command) bool { return s.Tag == "ops" && c.Name == "yes" }, "/api", "openapi.json", "/yes", "/api", "newest", 0},
		{"internal", func(_ acl.Subject, c acl.Command) bool { return c.Name == "webadmin_page" }, "/api", "openapi.json", "", "/api", "newest", 0},
		{"young", func(_ acl.Subject, c acl.Command) bool { return c.Name == "young" }, "/api", "openapi.json/v1", "", "/api", "1", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httpd.WithInfo(request(http.MethodGet, "", ""), httpd.Info{Mount: tt.mount, Rest: tt.rest, Tag: "ops"})
			d := describe(t, handler(t, tt.may), r)
			server := ""
			for _, s := range d.Servers {
				server = s.URL
			}
			if names(d) != tt.paths || server != tt.server || d.Info.Version != tt.version || len(d.Tags) != tt.tags {
				t.Errorf("got %q below %q in version %s with %d tags, want %q below %q in version %s with %d",
					names(d), server, d.Info.Version, len(d.Tags), tt.paths, tt.server, tt.version, tt.tags)
			}
		})
	}
}

// The document says what the commands take and return.
func TestSchemas(t *testing.T) {
	d := describe(t, handler(t, everybody), request(http.MethodGet, documentName, ""))
	old := describe(t, handler(t, everybody), request(http.MethodGet, documentName+"/v0", ""))
	const (
		number   = `{"type":"integer"}`
		text     = `{"type":"string"}`
		contact  = `{"additionalProperties":false,"properties":{"groups":{"items":{"type":"string"},"type":"array"},"jid":{"type":"string"},"nick":{"type":"string"}},"required":["jid","nick","groups"],"type":"object"}`
		oneSeat  = `{"additionalProperties":false,"properties":{"number":{"type":"integer"},"user":{"type":"string"}},"required":["user","number"],"type":"object"}`
		setting  = `{"additionalProperties":false,"properties":{"name":{"type":"string"},"value":{"type":"integer"}},"required":["name","value"],"type":"object"}`
		noObject = `{"additionalProperties":false,"properties":{},"type":"object"}`
		numbers  = `{"additionalProperties":{"type":"integer"},"type":"object"}`
	)
	takes := func(v string) string {
		return `{"additionalProperties":false,"properties":{"v":` + v + `},"required":["v"],"type":"object"}`
	}
	mayTake := func(v string) string {
		return `{"additionalProperties":false,"properties":{"v":` + v + `},"type":"object"}`
	}
	arrayOf := func(s string) string { return `{"items":` + s + `,"type":"array"}` }
	tests := []struct {
		d       description
		path    string
		takes   string
		returns string
	}{
		{d, "/echo_integer", takes(number), number},
		{d, "/echo_string", takes(text), text},
		{d, "/echo_strings", mayTake(arrayOf(text)), arrayOf(text)},
		{d, "/echo_tuple", takes(contact), contact},
		{d, "/echo_tuples", mayTake(arrayOf(contact)), arrayOf(contact)},
		{d, "/echo_seats", mayTake(`{"anyOf":[` + arrayOf(oneSeat) + `,` + numbers + `]}`), arrayOf(oneSeat)},
		{d, "/echo_settings", mayTake(`{"anyOf":[` + arrayOf(setting) + `,` + numbers + `]}`), numbers},
		{d, "/connected_users_number", noObject, number},
		{d, "/registered_users", `{"additionalProperties":false,"properties":{"host":{"description":"the virtual host","type":"string"}},"required":["host"],"type":"object"}`, arrayOf(text)},
		{d, "/yes", noObject, `{"description":"0: the command was successful.","enum":[0,1],"type":"integer"}`},
		{d, "/told", noObject, text},
		{old, "/connected_users_number/v0", noObject, `{"additionalProperties":false,"properties":{"num_sessions":{"type":"integer"}},"required":["num_sessions"],"type":"object"}`},
		{old, "/registered_users/v0", `{"additionalProperties":false,"properties":{"host":{"description":"the virtual host","type":"string"}},"required":["host"],"type":"object"}`, arrayOf(text)},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			o, ok := tt.d.Paths[tt.path]["post"]
			if !ok {
				t.Fatalf("there is no such path")
			}
			if got := encoded(t, o.RequestBody.Content["application/json"].Schema); got != tt.takes {
				t.Errorf("arguments: got\n%s\nwant\n%s", got, tt.takes)
			}
			if got := encoded(t, o.Responses["200"].Content["application/json"].Schema); got != tt.returns {
				t.Errorf("result: got\n%s\nwant\n%s", got, tt.returns)
			}
		})
	}
	if got, want := d.Paths["/connected_users_number"]["post"].Description, "How many sessions there are"; got != want {
		t.Errorf("got the description %q, want %q", got, want)
	}
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The same commands have the same document, in whatever order they were added.
func TestDocumentIsTheSame(t *testing.T) {
	document := func(list []command.Command) string {
		var r command.Registry
		if err := r.Add(list...); err != nil {
			t.Fatal(err)
		}
		h := New(Host{Commands: &r, Permissions: permissions(everybody)})
		return do(h, request(http.MethodGet, documentName, "")).Body.String()
	}
	other := commands()
	slices.Reverse(other)
	want := document(commands())
	for range 5 {
		if got := document(other); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
}
