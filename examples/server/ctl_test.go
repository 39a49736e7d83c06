package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tidewaiter/tidewaiter/httpd/ctl"
	"github.com/tidewaiter/tidewaiter/listen/command"
)

// addTestCommands adds commands to a server that can tell what they were called with.
func addTestCommands(t *testing.T, s *server) {
	t.Helper()
	result := command.Field{Name: "res", Type: command.String}
	texts := []command.Field{{Name: "one", Type: command.String}, {Name: "two", Type: command.String}}
	if err := s.host.Commands.Add(
		command.Command{Name: "test_join", Description: "Joins texts.", Args: texts, Result: result, Run: func(_ context.Context, a command.Args) (any, error) {
			return a.Text("one") + "+" + a.Text("two"), nil
		}},
		command.Command{Name: "test_fail", Result: command.Field{Name: "res", Type: command.ResCode}, Run: func(context.Context, command.Args) (any, error) {
			return false, nil
		}},
	); err != nil {
		t.Fatal(err)
	}
}

// runCtl runs a command line, with some standard input.
func runCtl(t *testing.T, data, input string, words ...string) (out, errOut string, status int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "in")
	writeFile(t, file, input)
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var o, e strings.Builder
	c := ctlClient{program: "tidewaiter", in: in, out: &o, err: &e}
	status = c.main(t.Context(), append([]string{"-data", data}, words...))
	return o.String(), e.String(), status
}

func TestCtl(t *testing.T) {
	s := startServer(t, flags{config: quiet(t)})
	addTestCommands(t, s)
	tests := []struct {
		name, input, words string
		out, err           string
		status             int
	}{
		{"answer", "", "test_join a b", "a+b\n", "", ctl.StatusOK},
		{"from standard input", "s3cret word\nmore", "test_join - -", "s3cret word+more\n", "", ctl.StatusOK},
		{"line of another system", "x\r\n", "test_join - b", "x+b\n", "", ctl.StatusOK},
		{"an empty line", "\n", "test_join - b", "+b\n", "", ctl.StatusOK},
		{"no line", "x\n", "test_join - -", "", "error: no line of standard input for argument 2: EOF\n", ctl.StatusUsage},
		{"not successful", "", "test_fail", "", "", ctl.StatusError},
		{"unknown command", "", "test_joi a", "", "error: there is no command \"test_joi\", did you mean test_join?\n", ctl.StatusUsage},
		{"too few arguments", "", "test_join a", "", "error: got 1 argument, want: test_join ONE TWO\n", ctl.StatusUsage},
		{"older version", "", "-version 0 test_join a b", "a+b\n", "", ctl.StatusOK},
		{"help on a command", "", "help test_join", "test_join ONE TWO\n\nJoins texts.\n\n  ONE     string\n  TWO     string\n  result  string\n", "", ctl.StatusOK},
		{"unknown flag", "", "-x", "", "error: flag provided but not defined: -x (ctl -h says how to use it)\n", ctl.StatusUsage},
		{"completion of another shell", "", "completion fish", "", "error: want completion bash\n", ctl.StatusUsage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, errOut, status := runCtl(t, s.data, tt.input, strings.Fields(tt.words)...)
			if out != tt.out || errOut != tt.err || status != tt.status {
				t.Errorf("got status %d, %q and %q, want %d, %q and %q", status, out, errOut, tt.status, tt.out, tt.err)
			}
		})
	}
	t.Run("help", func(t *testing.T) {
		out, errOut, status := runCtl(t, s.data, "", "help")
		if status != ctl.StatusOK || errOut != "" || !strings.Contains(out, "\n  test_join ") || !strings.Contains(out, "\n  get_turn_credentials ") {
			t.Errorf("got status %d, %q and %q, want a list of the commands", status, errOut, out)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		out, errOut, status := runCtl(t, s.data, "")
		if status != ctl.StatusUsage || out != "" || !strings.HasPrefix(errOut, "usage: ") {
			t.Errorf("got status %d, %q and %q, want the usage", status, out, errOut)
		}
	})
	t.Run("-h", func(t *testing.T) {
		out, errOut, status := runCtl(t, s.data, "", "-h")
		if status != ctl.StatusOK || errOut != "" || !strings.Contains(out, "-data DIR") || !strings.Contains(out, "Exit status") {
			t.Errorf("got status %d, %q and %q, want the usage", status, errOut, out)
		}
	})
}

// quiet returns a configuration without listeners.
func quiet(t *testing.T, more ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ejabberd.yml")
	writeFile(t, file, "hosts: [one.test]\nlisten: []\n"+strings.Join(more, ""))
	return file
}

// The socket is for this user alone, and goes with the server.
func TestCtlSocket(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(data, ctlSocket)
	s, err := start(t.Context(), flags{config: quiet(t), data: data}, logHandler(t.Output(), "text"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	dir, dirErr := os.Stat(data)
	s.stop()
	if err != nil || dirErr != nil {
		t.Fatal(err, dirErr)
	}
	if info.Mode() != fs.ModeSocket|0o600 || dir.Mode() != fs.ModeDir|0o700 {
		t.Errorf("got %v in %v, want a socket for the user alone in a directory for the user alone", info.Mode(), dir.Mode())
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: got %v, want no socket", err)
	}
}

// A socket that a killed server has left is replaced.
func TestCtlStaleSocket(t *testing.T) {
	data := t.TempDir()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(data, ctlSocket), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	if _, errOut, status := runCtl(t, data, "", "help"); status != ctlUnreachable || !strings.Contains(errOut, "does not run any more; start it with -data "+data) {
		t.Errorf("before: got status %d and %q, want %d and what to do", status, errOut, ctlUnreachable)
	}
	startServer(t, flags{config: quiet(t), data: data})
	if _, errOut, status := runCtl(t, data, "", "help"); status != ctl.StatusOK {
		t.Errorf("after: got status %d and %q, want %d", status, errOut, ctl.StatusOK)
	}
}

// A server whose socket cannot be is there for its users all the same.
func TestCtlWithoutSocket(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	other := t.TempDir()
	writeFile(t, filepath.Join(other, ctlSocket), "mine")
	for name, data := range map[string]string{"the path is too long": long, "there is a file": other} {
		t.Run(name, func(t *testing.T) {
			var log output
			startLogging(t, flags{config: quiet(t), data: data}, &log)
			if !strings.Contains(log.String(), "ctl cannot be used") {
				t.Errorf("log: got %s, want a warning", log.String())
			}
			if _, errOut, status := runCtl(t, data, "", "help"); status != ctlUnreachable || errOut == "" {
				t.Errorf("got status %d and %q, want %d and why", status, errOut, ctlUnreachable)
			}
		})
	}
	if text, err := os.ReadFile(filepath.Join(other, ctlSocket)); err != nil || string(text) != "mine" {
		t.Errorf("the file: got %q, %v, want it as it was", text, err)
	}
}

func TestCtlUnreachable(t *testing.T) {
	dir := t.TempDir()
	_, errOut, status := runCtl(t, dir, "", "help")
	if want := "no server runs with the data directory"; status != ctlUnreachable || !strings.Contains(errOut, want) || !strings.Contains(errOut, "start one with -data "+dir) {
		t.Errorf("got status %d and %q, want %d and %q", status, errOut, ctlUnreachable, want)
	}
	c := ctlClient{data: dir}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{syscall.EACCES, "for the user alone who runs the server"},
		{context.Canceled, "broken off"},
		{syscall.ECONNRESET, "the server does not answer"},
	} {
		if got := c.explain("/x/ctl.sock", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", tt.err)}).Error(); !strings.Contains(got, tt.want) {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.want)
		}
	}
}

// What is no ctl is told apart from it.
func TestCtlOfSomethingElse(t *testing.T) {
	data := t.TempDir()
	ln, err := net.Listen("unix", filepath.Join(data, ctlSocket))
	if err != nil {
		t.Fatal(err)
	}
	s := http.Server{Handler: http.NotFoundHandler()}
	done := make(chan error)
	go func() { done <- s.Serve(ln) }()
	_, errOut, status := runCtl(t, data, "", "help")
	s.Close()
	<-done
	if want := "error: the server answers 404 Not Found: 404 page not found\n"; status != ctl.StatusError || errOut != want {
		t.Errorf("got status %d and %q, want %d and %q", status, errOut, ctl.StatusError, want)
	}
}

// The configuration can take commands away from the console, while the server runs.
func TestCtlPermissions(t *testing.T) {
	file := quiet(t)
	s := startServer(t, flags{config: file})
	addTestCommands(t, s)
	allowed := func(want bool) {
		t.Helper()
		out, errOut, status := runCtl(t, s.data, "", "test_join", "a", "b")
		if got := status == ctl.StatusOK; got != want {
			t.Errorf("got status %d, %q and %q, want allowed %v", status, out, errOut, want)
		}
	}
	allowed(true)
	writeFile(t, file, "hosts: [one.test]\nlisten: []\napi_permissions:\n  console commands: {from: ejabberd_ctl, who: all, what: test_fail}\n")
	s.reload(t.Context())
	allowed(false)
}

func TestCtlConcurrentCalls(t *testing.T) {
	s := startServer(t, flags{config: quiet(t)})
	addTestCommands(t, s)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				one, two := fmt.Sprint(i), fmt.Sprint(j)
				if out, errOut, status := runCtl(t, s.data, "", "test_join", one, two); out != one+"+"+two+"\n" || status != ctl.StatusOK {
					t.Errorf("got status %d, %q and %q, want %s+%s", status, out, errOut, one, two)
				}
			}
		})
	}
	wg.Wait()
}

// A command that runs does not keep the server from stopping.
func TestCtlStop(t *testing.T) {
	s, err := start(t.Context(), flags{config: quiet(t), data: t.TempDir()}, logHandler(t.Output(), "text"))
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	if err := s.host.Commands.Add(command.Command{Name: "test_hang", Result: command.Field{Name: "res", Type: command.ResCode}, Run: func(ctx context.Context, _ command.Args) (any, error) {
		close(begun)
		<-ctx.Done()
		return true, nil
	}}); err != nil {
		t.Fatal(err)
	}
	done := make(chan int)
	go func() {
		_, _, status := runCtl(t, s.data, "", "test_hang")
		done <- status
	}()
	<-begun
	s.stop()
	if status := <-done; status == ctl.StatusOK {
		t.Errorf("got status %d, want that it was broken off", status)
	}
}

// bash completes the names of commands, after flags and after help.
func TestCtlCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here: the completion is not tried")
	}
	s := startServer(t, flags{config: quiet(t)})
	addTestCommands(t, s)
	script, _, _ := runCtl(t, s.data, "", "completion", "bash")
	for words, want := range map[string]string{
		"ctl -data " + s.data + " test_j":       "test_join",
		"ctl -data " + s.data + " help te":      "test_fail test_join",
		"ctl -data " + s.data + " test_join te": "",
		"ctl -data /nowhere test_j":             "",
		"-data test_j":                          "",
	} {
		list := strings.Fields("server " + words)
		cmd := exec.Command(bash, "-c", script+fmt.Sprintf("COMP_WORDS=(%s) COMP_CWORD=%d\n_tidewaiter_ctl %q\necho \"${COMPREPLY[*]}\"", strings.Join(list, " "), len(list)-1, os.Args[0]))
		cmd.Env = append(os.Environ(), asServer+"=1")
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); got != want {
			t.Errorf("%s: got %q (%v), want %q", words, got, err, want)
		}
	}
}
