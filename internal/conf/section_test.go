package conf

import (
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
)

type clients struct {
	Size int `conf:"max_stanza_size,size"`
}

type borrowed struct {
	Clients     clients         `conf:"ejabberd_c2s,first"`
	Permissions acl.Permissions `conf:"api_permissions"`
}

// A section can have the options of the first listener of a module. Its problems are
// told once, where the listener is decoded.
func TestSectionFirst(t *testing.T) {
	defaults := func() borrowed { return borrowed{Clients: clients{Size: 7}} }
	for _, c := range []struct {
		name, src string
		want      int
		problems  int
	}{
		{"none", "hosts: [a.test]\n", 7, 0},
		{"no listener of the module", "hosts: [a.test]\nlisten: [{port: 1, module: other}]\n", 7, 0},
		{"one", "hosts: [a.test]\nlisten: [{port: 1, module: other}, {port: 2, module: ejabberd_c2s, max_stanza_size: 9}]\n", 9, 0},
		{"the first of two", "hosts: [a.test]\nlisten: [{port: 2, module: ejabberd_c2s}, {port: 3, module: ejabberd_c2s, max_stanza_size: 9}]\n", 7, 0},
		{"wrong", "hosts: [a.test]\nlisten: [5, {port: 2, module: ejabberd_c2s, max_stanza_size: x, max_stanza_sise: 1}]\n", 7, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Parse("main.yml", []byte(c.src), NewTables())
			got := d.Section(SchemaOf(defaults)).(borrowed)
			if got.Clients.Size != c.want {
				t.Errorf("got size %d, want %d", got.Clients.Size, c.want)
			}
			kinds := map[string]ListenerKind{
				"ejabberd_c2s": {Schema: SchemaOf(func() clients { return clients{} }), Stream: true},
				"other":        {Schema: SchemaOf(func() struct{} { return struct{}{} }), Stream: true},
			}
			d.Listeners(Build{Kinds: kinds})
			if errors, _ := d.Finish(); len(errors) != c.problems {
				t.Errorf("got problems %v, want %d", errors, c.problems)
			}
		})
	}
}

// Permissions are those of the tables, and change with these.
func TestSectionPermissions(t *testing.T) {
	tables := NewTables()
	d := Parse("main.yml", []byte("hosts: [a.test]\napi_permissions:\n  all:\n    who: all\n    what: status\n"), tables)
	p := d.Section(SchemaOf(func() borrowed { return borrowed{} })).(borrowed).Permissions
	status := acl.Command{Name: "status"}
	if p.Permits(acl.Subject{}, status) {
		t.Error("before the tables are swapped: got permission, want none")
	}
	d.Content().Swap()
	if !p.Permits(acl.Subject{}, status) || p.Permits(acl.Subject{}, acl.Command{Name: "stop"}) {
		t.Error("got other permissions than those of the file")
	}
}

type handlers struct {
	Handlers map[string]string `conf:"request_handlers,handlers"`
	names    []string          `conf:"-"`
}

func (h handlers) HandlerNames() []string { return h.names }

// The names of handlers are those that the defaults know.
func TestHandlers(t *testing.T) {
	kinds := map[string]ListenerKind{"ejabberd_http": {Stream: true, Schema: SchemaOf(func() handlers {
		return handlers{names: []string{"mod_bosh", "my_handler"}}
	})}}
	for _, c := range []struct{ handler, want string }{
		{"mod_bosh", ""},
		{"my_handler", ""},
		{"mod_http_api", "this build has no request handler mod_http_api"},
		{"my_handlr", "did you mean my_handler?"},
	} {
		d := Parse("main.yml", []byte("hosts: [a.test]\nlisten: [{port: 1, module: ejabberd_http, request_handlers: {/x: "+c.handler+"}}]\n"), NewTables())
		list := d.Listeners(Build{Kinds: kinds})
		errors, _ := d.Finish()
		switch {
		case c.want == "" && (len(errors) > 0 || list[0].Options.(handlers).Handlers["/x"] != c.handler):
			t.Errorf("%s: got %v and %v, want it", c.handler, list, errors)
		case c.want != "" && (len(errors) != 1 || !strings.Contains(errors[0].Error(), c.want)):
			t.Errorf("%s: got %v, want %q", c.handler, errors, c.want)
		}
	}
}
