package xmlrpc

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/kolo/xmlrpc"
)

// The client of kolo/xmlrpc calls commands.
func TestKolo(t *testing.T) {
	s := httptest.NewServer(handler(t, public))
	defer s.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := xmlrpc.NewClient(s.URL+"/xmlrpc/", transport)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	type m = map[string]any
	login := m{"user": "ana", "server": "localhost", "password": "anchor"}
	contact := m{"jid": "a@b", "groups": []any{"x & y", "z"}}
	tests := []struct {
		name   string
		method string
		params any
		want   any
		fault  string
	}{
		{"integer", "connected_users_number", nil, m{"num_sessions": int64(7)}, ""},
		{"string", "string", m{"v": "ü <&> "}, m{"got": "ü <&> "}, ""},
		{"text", "told", nil, m{"text": "done & <dusted>"}, ""},
		{"list", "integers", m{"v": []int{1, 2, 3}}, m{"got": []any{int64(1), int64(2), int64(3)}}, ""},
		{"old list", "strings", m{"v": []m{{"s": "a"}, {"s": "b"}}}, m{"got": []any{"a", "b"}}, ""},
		{"structure", "tuple", m{"v": contact}, m{"got": contact}, ""},
		{"list of structures", "tuples", m{"v": []any{contact}}, m{"got": []any{contact}}, ""},
		{"login", "stop", []any{login}, m{"res": int64(0)}, ""},
		{"login and arguments", "registered_users", []any{login, m{"host": "localhost"}}, m{"users": []any{"ana@localhost"}}, ""},
		{"product", "multhis", m{"a": 6, "b": 7}, int64(42), ""},
		{"denied", "stop", nil, nil, "Fault(-118): Error -118\naccess to the command is denied"},
		{"unknown", "no_such_command", nil, nil, "Fault(-112): Error -112\nUnknown call"},
		{"missing", "registered_users", nil, nil, "Fault(-116): Error -116\nargument host is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got any
			err := c.Call(tt.method, tt.params, &got)
			if fault := errorText(err); fault != tt.fault || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %#v and %q, want %#v and %q", got, fault, tt.want, tt.fault)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// script does by Python's client what others do by hand.
const script = `
import sys, xmlrpc.client
server = xmlrpc.client.ServerProxy(sys.argv[1], allow_none=True)
login = {"user": "ana", "server": "localhost", "password": "anchor", "admin": True}
print(server.connected_users_number())
print(server.registered_users({"host": "localhost"}))
print(server.registered_users(login, {"host": "localhost"}))
print(server.tuples({"v": [{"jid": "ü<&>", "groups": []}, {"contact": {"jid": "b", "groups": ["x", "y"]}}]}))
print(server.echothis([None, 1.5, 1e100, True, "a\nb", xmlrpc.client.Binary(b"\x00\xff" * 60), xmlrpc.client.DateTime("19980717T14:08:55"), {"1": {}}]))
print("yes" in server.system.listMethods(), "stop" in server.system.listMethods())
for call in (lambda: server.stop(), lambda: server.registered_users(), lambda: server.nothing(1), lambda: server.integer({"v": "5"})):
    try:
        call()
    except xmlrpc.client.Fault as f:
        print(f.faultCode, repr(f.faultString))
`

func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("TIDEWAITER_CI") != "" {
			t.Fatal("python3 is not installed")
		}
		t.Skip("python3 is not installed")
	}
	s := httptest.NewServer(handler(t, public))
	defer s.Close()
	cmd := exec.CommandContext(t.Context(), python, "-c", script, s.URL+"/xmlrpc/")
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8", "NO_PROXY=*")
	out, err := cmd.CombinedOutput()
	want := []string{
		"{'num_sessions': 7}",
		"{'users': ['ana@localhost']}",
		"{'users': ['ana@localhost']}",
		"{'got': [{'jid': 'ü<&>', 'groups': []}, {'jid': 'b', 'groups': ['x', 'y']}]}",
		"", // of objects that print themselves with their addresses
		"True False",
		`-118 'Error -118\naccess to the command is denied'`,
		`-116 'Error -116\nargument host is missing'`,
		`-112 'Error -112\nUnknown call'`,
		`-122 'Error -122\nargument v: want an integer, got a string'`,
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != len(want) {
		t.Fatalf("got %v and %s", err, out)
	}
	for i, line := range lines {
		if want[i] != "" && line != want[i] {
			t.Errorf("got %s, want %s", line, want[i])
		}
	}
	for _, part := range []string{"[None, 1.5, 1e+100, True, 'a\\nb', ", "<DateTime '19980717T14:08:55'", "{'1': {}}]"} {
		if !strings.Contains(lines[4], part) {
			t.Errorf("got %s, want %s in it", lines[4], part)
		}
	}
}
