package xmlrpc

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
)

func TestResult(t *testing.T) {
	tests := []struct {
		method string
		want   any
	}{
		{"connected_users_number", structure{{"num_sessions", 7}}},
		{"yes", structure{{"res", 0}}},
		{"no", structure{{"res", 1}}},
		{"told", structure{{"text", "done & <dusted>"}}},
		{"versions", structure{{"text", "three"}}}, // always the newest
	}
	h := handler(t, everybody)
	for _, tt := range tests {
		t.Run(tt.method, func(t *testing.T) {
			expect(t, h, document(tt.method), tt.want, 0, "")
			expect(t, h, document(tt.method, structure{}), tt.want, 0, "")
			expect(t, h, fmt.Appendf(nil, "<methodCall><methodName>%s</methodName></methodCall>", tt.method), tt.want, 0, "")
		})
	}
}

func TestArguments(t *testing.T) {
	type s = structure
	list := func(v ...any) []any { return append([]any{}, v...) }
	got := func(v any) s { return s{{"got", v}} }
	ana := s{{"jid", "a@b"}, {"groups", list("x")}}
	bo := s{{"groups", list()}, {"jid", "b@b"}}
	anaThen := s{{"jid", "b@b"}, {"groups", list()}} // bo in the order of the type
	tests := []struct {
		name   string
		method string
		v      any
		want   any
		code   int
		words  string
	}{
		{"integer", "integer", 5, got(5), 0, ""},
		{"large integer", "integer", math.MaxInt, got(math.MaxInt), 0, ""},
		{"string for an integer", "integer", "5", nil, faultType, "argument v: want an integer, got a string"},
		{"double for an integer", "integer", double(5), nil, faultType, "want an integer, got a number"},
		{"boolean for an integer", "integer", true, nil, faultType, "want an integer, got a boolean"},
		{"nil for an integer", "integer", nil, nil, faultType, "want an integer, got nothing"},
		{"string", "string", "ü <&> ]]> \r\n", got("ü <&> ]]> \r\n"), 0, ""},
		{"integer for a string", "string", 5, nil, faultType, "want a string, got a number"},
		{"base64 for a string", "string", []byte("x"), nil, faultType, "want a string, got bytes"},
		{"time for a string", "string", dateTime("19980717T14:08:55"), nil, faultType, "want a string"},
		{"structure for a string", "string", s{{"s", "x"}}, nil, faultType, "want a string, got a structure"},
		{"array for a string", "string", list("x"), nil, faultType, "want a string, got a list"},

		{"list", "integers", list(1, 2), got(list(1, 2)), 0, ""},
		{"empty list", "strings", list(), got(list()), 0, ""},
		{"old list", "integers", list(s{{"n", 1}}, s{{"n", 2}}), got(list(1, 2)), 0, ""},
		{"old list in one structure", "strings", list(s{{"s", "a"}, {"s", "b"}}), got(list("a", "b")), 0, ""},
		{"old list without elements", "strings", list(s{}), got(list()), 0, ""},
		{"both forms", "strings", list("a", s{{"s", "b"}}), got(list("a", "b")), 0, ""},
		{"old list of another name", "strings", list(s{{"x", "a"}}), nil, faultType, "element 0: want a string, got a structure"},
		{"scalar for a list", "strings", "a", nil, faultType, "want a list, got a string"},
		{"structure for a list", "strings", s{{"s", "a"}}, nil, faultType, "want a list, got a structure"},
		{"empty structure for a list", "strings", s{}, nil, faultType, "want a list, got a structure"},
		{"other things in a list", "integers", list(1, "2"), nil, faultType, "element 1: want an integer"},

		{"tuple", "tuple", ana, got(ana), 0, ""},
		{"tuple in another order", "tuple", bo, got(anaThen), 0, ""},
		{"old tuple", "tuple", list(ana), got(ana), 0, ""},
		{"old list in a tuple", "tuple", s{{"jid", "a@b"}, {"groups", list(s{{"group", "x"}})}}, got(ana), 0, ""},
		{"tuple without a part", "tuple", s{{"jid", "a@b"}}, nil, faultType, "groups is missing"},
		{"tuple with another part", "tuple", append(s{{"more", 1}}, ana...), nil, faultType, "want 2 parts, got 3"},
		{"tuple with a part twice", "tuple", append(s{{"jid", "x"}}, ana...), nil, faultTwice, `"jid"`},
		{"array of two for a tuple", "tuple", list(ana, ana), nil, faultType, "want a structure, got a list"},

		{"list of tuples", "tuples", list(ana, bo), got(list(ana, anaThen)), 0, ""},
		{"old list of tuples", "tuples", list(s{{"contact", ana}}, s{{"contact", bo}}), got(list(ana, anaThen)), 0, ""},
		{"old list of old tuples", "tuples", list(s{{"contact", list(ana)}, {"contact", list(bo)}}), got(list(ana, anaThen)), 0, ""},
		{"list of tuples, a part twice", "tuples", list(append(s{{"jid", "x"}}, ana...)), nil, faultTwice, `"jid"`},
		{"list of tuples with the name of the part", "onetuples", list(s{{"s", "a"}}), got(list(s{{"s", "a"}})), 0, ""},
	}
	h := handler(t, everybody)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, h, document(tt.method, structure{{"v", tt.v}}), tt.want, tt.code, tt.words)
		})
	}
}

func TestCall(t *testing.T) {
	type s = structure
	users := s{{"users", []any{"ana@localhost"}}}
	login := func(name, secret string) s {
		return s{{"user", "ana"}, {"server", "localhost"}, {name, secret}, {"admin", true}}
	}
	host := s{{"host", "localhost"}}
	tests := []struct {
		name   string
		method string
		params []any
		want   any
		code   int
		words  string
	}{
		{"argument", "registered_users", []any{host}, users, 0, ""},
		{"old name", "registered_users", []any{s{{"server", "localhost"}}}, users, 0, ""},
		{"both names", "registered_users", []any{s{{"server", "x"}, {"host", "localhost"}}}, nil, faultUnexpected, "server"},
		{"no argument", "registered_users", nil, nil, faultMissing, "argument host is missing"},
		{"argument twice", "registered_users", []any{s{{"host", "localhost"}, {"host", "localhost"}}}, nil, faultTwice, `"host"`},
		{"another argument", "registered_users", []any{s{{"host", "localhost"}, {"more", s{}}}}, nil, faultUnexpected, `"more"`},
		{"no structure", "registered_users", []any{"localhost"}, nil, faultCall, "Unknown call"},
		{"a parameter too many", "registered_users", []any{host, host}, nil, faultCall, "Unknown call"},
		{"unknown method", "no_such_command", nil, nil, faultCall, "Unknown call"},
		{"method without a name", "", nil, nil, faultCall, "Unknown call"},
		{"multicall", "system.multicall", []any{[]any{}}, nil, faultCall, "Unknown call"},

		{"password", "registered_users", []any{login("password", "anchor"), host}, users, 0, ""},
		{"password, no arguments", "stop", []any{login("password", "anchor")}, s{{"res", 0}}, 0, ""},
		{"token", "stop", []any{login("token", "tide")}, s{{"res", 0}}, 0, ""},
		{"wrong password", "registered_users", []any{login("password", "ankle"), host}, nil, faultFailed, "Invalid authentication data"},
		{"wrong password for what everybody may", "yes", []any{login("password", "ankle")}, nil, faultFailed, "Invalid authentication data"},
		{"unknown user", "yes", []any{s{{"user", "dora"}, {"server", "localhost"}, {"password", "anchor"}}}, nil, faultFailed, "Invalid authentication data"},
		{"no user at all", "yes", []any{s{{"user", ""}, {"server", "localhost"}, {"password", "anchor"}}}, nil, faultFailed, "Invalid authentication data"},
		{"impossible user", "yes", []any{s{{"user", "a@b"}, {"server", "localhost"}, {"password", "anchor"}}}, nil, faultFailed, "Invalid authentication data"},
		{"number for a password", "yes", []any{s{{"user", "ana"}, {"server", "localhost"}, {"password", 5}}}, nil, faultFailed, "Invalid authentication data"},
		{"wrong token", "yes", []any{login("token", "x")}, nil, faultFailed, "Invalid oauth token"},
		{"token of somebody else", "yes", []any{login("token", "ebb")}, nil, faultFailed, "Invalid oauth token"},
		{"wrong token and right password", "yes", []any{append(login("token", "x"), member{"password", "anchor"})}, nil, faultFailed, "Invalid oauth token"},
		{"right token and wrong password", "yes", []any{append(login("token", "tide"), member{"password", "x"})}, s{{"res", 0}}, 0, ""},
		{"no answer of the accounts", "yes", []any{s{{"user", "cy"}, {"server", "localhost"}, {"password", "x"}}}, nil, faultFailed, "try again later"},
		{"login that is none", "yes", []any{s{{"user", "ana"}, {"server", "localhost"}}}, nil, faultUnexpected, "unknown argument"},
		{"login second", "yes", []any{s{}, login("password", "anchor")}, nil, faultCall, "Unknown call"},
		{"login twice", "yes", []any{login("password", "anchor"), login("password", "anchor")}, nil, faultUnexpected, "unknown argument"},

		{"denied", "stop", nil, nil, faultFailed, "denied"},
		{"denied before its arguments are looked at", "stop", []any{s{{"x", 1}, {"x", 1}}}, nil, faultFailed, "denied"},
		{"internal", "webadmin_page", []any{login("password", "anchor")}, nil, faultFailed, "denied"},
		{"conflict", "conflict", nil, nil, faultFailed, "Error -118\nUser exists"},
		{"not found", "nothing", nil, nil, faultFailed, "there is no such thing"},
		{"host that is not served", "unserved", []any{host}, nil, faultFailed, "that host is not served"},
		{"no host", "unserved", nil, nil, faultMissing, "argument host is missing"},
		{"broken", "broken", nil, nil, faultFailed, "Error -118\ninternal error"},
		{"panic", "panics", nil, nil, faultFailed, "Error -118\ninternal error"},
	}
	h := handler(t, public)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, h, document(tt.method, tt.params...), tt.want, tt.code, tt.words)
		})
	}
}

func TestBuiltIn(t *testing.T) {
	type s = structure
	login := s{{"user", "ana"}, {"server", "localhost"}, {"password", "anchor"}}
	sig := func(n ...int) (list []any) {
		for _, n := range n {
			one := []any{}
			for range n {
				one = append(one, "struct")
			}
			list = append(list, one)
		}
		return list
	}
	tests := []struct {
		name   string
		method string
		params []any
		want   any // nil: the fault for unknown calls
	}{
		{"echo", "echothis", []any{"a"}, "a"},
		{"echo with login", "echothis", []any{login, "a"}, "a"},
		{"echo of everything", "echothis", []any{s{{"a", []any{1, true, double(1.5), []byte{0, 255}, dateTime("19980717T14:08:55"), nil}}, {"a", 2}, {"<b>", "&"}}},
			s{{"a", []any{1, true, double(1.5), []byte{0, 255}, dateTime("19980717T14:08:55"), nil}}, {"a", 2}, {"<b>", "&"}}},
		{"echo of nothing", "echothis", nil, nil},
		{"new echo", "echothisnew", []any{s{{"sentence", "a"}}}, s{{"repeated", "a"}}},
		{"new echo of something else", "echothisnew", []any{s{{"word", "a"}}}, nil},
		{"product", "multhis", []any{s{{"a", 6}, {"b", 7}}}, 42},
		{"product in another order", "multhis", []any{s{{"b", 7}, {"a", -6}}}, -42},
		{"product with nothing", "multhis", []any{s{{"a", 0}, {"b", 7}}}, 0},
		{"product that is too large", "multhis", []any{s{{"a", math.MaxInt/2 + 1}, {"b", 2}}}, nil},
		{"product of the smallest", "multhis", []any{s{{"a", -1}, {"b", math.MinInt}}}, nil},
		{"product of strings", "multhis", []any{s{{"a", "6"}, {"b", "7"}}}, nil},
		{"product of one", "multhis", []any{s{{"a", 6}, {"a", 7}}}, nil},
		{"new product", "multhisnew", []any{s{{"a", 6}, {"b", 7}}}, s{{"mu", 42}}},
		{"signature", "system.methodSignature", []any{"registered_users"}, sig(2, 3)},
		{"signature without arguments", "system.methodSignature", []any{"connected_users_number"}, sig(1, 2)},
		{"signature of what is denied", "system.methodSignature", []any{"stop"}, nil},
		{"signature for those who may", "system.methodSignature", []any{login, "stop"}, sig(1, 2)},
		{"signature of what is not there", "system.methodSignature", []any{"no_such_command"}, nil},
		{"help", "system.methodHelp", []any{"connected_users_number"}, "How many sessions there are"},
		{"help with arguments", "system.methodHelp", []any{"registered_users"}, "\nhost (string)"},
		{"help for what is internal", "system.methodHelp", []any{login, "webadmin_page"}, nil},
		{"help for nothing", "system.methodHelp", nil, nil},
		{"list with a parameter", "system.listMethods", []any{"x"}, nil},
	}
	h := handler(t, public)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code := 0
			if tt.want == nil {
				code = faultCall
			}
			expect(t, h, document(tt.method, tt.params...), tt.want, code, "Unknown call")
		})
	}
	t.Run("echo of nil", func(t *testing.T) { expect(t, h, document("echothis", nil), nil, 0, "") })
}

// Everybody hears of the commands that he may run.
func TestListMethods(t *testing.T) {
	may := func(s acl.Subject, c acl.Command) bool {
		return c.Name == "yes" || c.Name == "webadmin_page" || s.User == "ana" && c.Name == "stop"
	}
	h := handler(t, may)
	expect(t, h, document("system.listMethods"), []any{"yes"}, 0, "")
	login := structure{{"user", "ana"}, {"server", "localhost"}, {"password", "anchor"}}
	expect(t, h, document("system.listMethods", login), []any{"stop", "yes"}, 0, "")
}

// The permissions hear who calls, and for which virtual host.
func TestCaller(t *testing.T) {
	var caller acl.Subject
	var cmd acl.Command
	h := handler(t, func(s acl.Subject, c acl.Command) bool { caller, cmd = s, c; return true })
	here := netip.MustParseAddr("203.0.113.5")
	anonymous := acl.Subject{IP: here, From: "ejabberd_xmlrpc"}
	byPassword := anonymous
	byPassword.User, byPassword.Server = "ana", "localhost"
	byToken := byPassword
	byToken.Token, byToken.Scopes = true, "sasl_auth"
	login := func(name, secret string) structure {
		return structure{{"user", "Ana"}, {"server", "LOCALHOST"}, {name, secret}}
	}
	host := structure{{"server", "EXAMPLE.org"}}
	tests := []struct {
		name   string
		params []any
		want   acl.Subject
	}{
		{"anonymous", []any{host}, anonymous},
		{"by password", []any{login("password", "anchor"), host}, byPassword},
		{"by token", []any{login("token", "tide"), host}, byToken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", bytes.NewReader(document("registered_users", tt.params...)))
			r = httpd.WithInfo(r, httpd.Info{Host: "localhost", Client: here, Tag: "tagged"})
			h.ServeHTTP(httptest.NewRecorder(), r)
			if caller != tt.want || cmd.Host != "example.org" || cmd.Name != "registered_users" {
				t.Errorf("got %+v for %+v, want %+v for example.org", caller, cmd, tt.want)
			}
		})
	}
}

// Nobody is let in without the services that say who he is.
func TestNoAccounts(t *testing.T) {
	h := New(Host{Commands: registry(t), Permissions: permissions(everybody)})
	for _, name := range []string{"password", "token"} {
		login := structure{{"user", "ana"}, {"server", "localhost"}, {name, ""}}
		expect(t, h, document("yes", login), nil, faultFailed, "Invalid")
	}
}

// Failures are logged with who it was, but not each of many, and never with secrets.
func TestLog(t *testing.T) {
	var lines bytes.Buffer
	h := New(Host{Commands: registry(t), Permissions: permissions(everybody), Passwords: accounts{}, Log: slog.New(slog.NewTextHandler(&lines, nil))})
	login := structure{{"user", "ana"}, {"server", "localhost"}, {"password", "guessed"}}
	for range 100 {
		post(h, string(document("yes", login)))
	}
	h.failures.Flush()
	log := lines.String()
	if n := strings.Count(log, "authentication failed"); n == 0 || n > 30 {
		t.Errorf("got %d lines of 100 failures, want some", n)
	}
	for _, want := range []string{"user=ana@localhost", "peer=192.0.2.1"} {
		if !strings.Contains(log, want) {
			t.Errorf("got no %s in the log", want)
		}
	}
	if strings.Contains(log, "guessed") {
		t.Error("the log has the password")
	}
}

// What is called does not stay, however many different names there are.
func TestUnknownMethods(t *testing.T) {
	h := handler(t, everybody)
	before := heap()
	for i := range 20_000 {
		post(h, string(document(fmt.Sprintf("no_such_command_%0100d", i))))
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("the heap has grown by %d bytes, want next to nothing", grown)
	}
	runtime.KeepAlive(h)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
