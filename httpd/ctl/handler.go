package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/internal/calls"
	"github.com/tidewaiter/tidewaiter/listen/command"
)

// Exit statuses of a command line, those of ejabberdctl.
const (
	StatusOK    = 0
	StatusError = 1 // the command failed, or says that it was not successful
	StatusUsage = 2 // there is no such command, or it has other arguments
)

// StatusHeader is the header of an answer with the exit status.
const StatusHeader = "Status-Code"

// maxBody bounds a request, in bytes.
const maxBody = 1 << 20

// frontend is the name of this package in api_permissions.
const frontend = "ejabberd_ctl"

// Host is what the handler needs of the program around it. Commands and Permissions are
// required.
type Host struct {
	Commands *command.Registry

	// Permissions are asked for a caller of whom nothing is known but From, which is
	// ejabberd_ctl. An *acl.Ref permits it everything unless a configuration says
	// otherwise.
	Permissions acl.Permissions

	Log *slog.Logger // nil discards
}

// Handler runs command lines. Create it with New. It is safe for concurrent use.
type Handler struct {
	commands *command.Registry
	gate     *calls.Gate
}

// New returns a Handler.
func New(h Host) *Handler {
	return &Handler{commands: h.Commands, gate: calls.New(h.Commands, h.Permissions, nil, nil, h.Log)}
}

// ServeHTTP implements http.Handler. A command ends when the client leaves. Whatever the
// path is, it is this handler's.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !isLocal(r) {
		http.Error(w, "commands are taken by a unix socket alone", http.StatusForbidden)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "want POST", http.StatusMethodNotAllowed)
		return
	}
	var words []string
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&words)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, "the command line is too long", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "want a JSON array of words", http.StatusBadRequest)
		return
	}
	text, status := h.run(r.Context(), words)
	w.Header().Set(StatusHeader, strconv.Itoa(status))
	_, _ = w.Write([]byte(text)) // who has left needs none
}

// isLocal reports whether a request came by a unix socket, and not for somebody else:
// what a proxy says counts here whether it is trusted or not.
func isLocal(r *http.Request) bool {
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "Via"} {
		if _, forwarded := r.Header[name]; forwarded {
			return false
		}
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && local.Network() == "unix" && !httpd.InfoOf(r).Client.IsValid()
}

// run runs a command line, and returns what it prints and its exit status.
func (h *Handler) run(ctx context.Context, words []string) (text string, status int) {
	version := command.Newest
	if len(words) > 0 && words[0] == "--version" {
		n, err := strconv.Atoi(wordAt(words, 1))
		if err != nil || n < 0 {
			return "error: --version wants the number of a version of the API\n", StatusUsage
		}
		version, words = n, words[2:]
	}
	switch {
	case len(words) == 0:
		return h.help(), StatusUsage
	case words[0] == "help" && len(words) == 1:
		return h.help(), StatusOK
	case words[0] == "help" && len(words) == 2:
		words = words[1:]
	case words[0] == "help":
		return "error: want help or help COMMAND\n", StatusUsage
	default:
		return h.call(ctx, words[0], words[1:], version)
	}
	c, ok := h.commands.At(words[0], version)
	if !ok {
		return h.unknown(words[0]), StatusUsage
	}
	return describe(&c), StatusOK
}

func wordAt(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return ""
}

// call runs a command.
func (h *Handler) call(ctx context.Context, name string, words []string, version int) (text string, status int) {
	c, ok := h.commands.At(name, version)
	if !ok {
		return h.unknown(name), StatusUsage
	}
	if len(words) != len(c.Args) {
		return fmt.Sprintf("error: got %s, want: %s\n", count(len(words), "argument"), synopsis(&c)), StatusUsage
	}
	values, err := arguments(&c, words)
	if err == nil {
		_, err = c.Arguments(values)
	}
	if err != nil {
		return fmt.Sprintf("error: %s\n", printable(err.Error(), false)), StatusUsage
	}
	caller := acl.Subject{From: frontend}
	if c, err = h.gate.Find(caller, name, version, values); err != nil {
		return fmt.Sprintf("error: %v\n", err), StatusError
	}
	result, err := h.gate.Run(ctx, caller, &c, values)
	if f := command.Fault(err); f != nil {
		return fmt.Sprintf("error: %s\n", printable(f.Text, false)), StatusError
	}
	if done, isCode := result.(bool); isCode {
		if !done {
			return "", StatusError
		}
		return "", StatusOK
	}
	return format(c.Result.Type, result), StatusOK
}
