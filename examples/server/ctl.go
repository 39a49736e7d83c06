package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd/ctl"
	"github.com/tidewaiter/tidewaiter/internal/sock"
)

// ctlUnreachable is the exit status of ctl when there is no server to ask; the others
// are those of package ctl. All of them are those of ejabberdctl.
const ctlUnreachable = 3

const ctlUsage = `usage: server ctl [-data DIR] COMMAND [ARGUMENT]...

Runs a command of the server that runs with this data directory.

  help              lists the commands
  help COMMAND      says what the arguments of a command are
  completion bash   prints a script: source <(server ctl completion bash)

An argument that is - is read from standard input, a line for each: a password
given so is in no list of processes and in no history.
Exit status: 0 done, 1 not done, 2 wrong usage, 3 no server runs there.

flags:
`

// ctlClient is the command line of ctl.
type ctlClient struct {
	program  string // this one
	data     string
	in       *os.File
	out, err io.Writer
}

// main returns the exit status.
func (c *ctlClient) main(ctx context.Context, args []string) int {
	set := flag.NewFlagSet("ctl", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&c.data, "data", "data", "`DIR` of the server's data")
	version := set.Int("version", -1, "`NUMBER` of a version of the API whose commands are meant (default: the newest)")
	err := set.Parse(args)
	words := set.Args()
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(c.out, ctlUsage)
		set.SetOutput(c.out)
		set.PrintDefaults()
		return ctl.StatusOK
	case err != nil:
		fmt.Fprintf(c.err, "error: %v (ctl -h says how to use it)\n", err)
		return ctl.StatusUsage
	case len(words) > 0 && words[0] == "completion":
		return c.completion(words[1:])
	}
	if words, err = c.fill(words); err != nil {
		fmt.Fprintln(c.err, "error:", err)
		return ctl.StatusUsage
	}
	if *version >= 0 {
		words = append([]string{"--version", strconv.Itoa(*version)}, words...)
	}
	return c.call(ctx, words)
}

// fill reads the words that are - from standard input.
func (c *ctlClient) fill(words []string) ([]string, error) {
	var lines *bufio.Reader
	filled := make([]string, len(words))
	for i, w := range words {
		if filled[i] = w; w != "-" {
			continue
		}
		if lines == nil {
			lines = bufio.NewReader(c.in)
		}
		line, err := c.ask(fmt.Sprintf("argument %d: ", i), lines)
		if err != nil {
			return nil, fmt.Errorf("no line of standard input for argument %d: %w", i, err)
		}
		filled[i] = line
	}
	return filled, nil
}

// ask reads a line, which a terminal does not show.
func (c *ctlClient) ask(prompt string, lines *bufio.Reader) (string, error) {
	if show, terminal := hideInput(c.in); terminal {
		defer show()
		fmt.Fprint(c.err, prompt)
		defer fmt.Fprintln(c.err)
	}
	line, err := lines.ReadString('\n')
	if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

// call has the server run words and prints what it answers. An interrupt ends what runs
// there, too.
func (c *ctlClient) call(ctx context.Context, words []string) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	path, err := filepath.Abs(filepath.Join(c.data, ctlSocket))
	if err == nil {
		err = sock.CheckUnixPath(path)
	}
	if err != nil {
		fmt.Fprintln(c.err, "error:", err)
		return ctlUnreachable
	}
	body, err := json.Marshal(words)
	if err != nil {
		panic(err) // they are strings
	}
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: 5 * time.Second}
		return d.DialContext(ctx, "unix", path)
	}}
	defer t.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/ctl", bytes.NewReader(body))
	if err != nil {
		panic(err) // of nothing that was typed
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := t.RoundTrip(r)
	if err != nil {
		fmt.Fprintln(c.err, "error:", c.explain(path, err))
		return ctlUnreachable
	}
	defer answer.Body.Close()
	return c.print(answer)
}

// print prints an answer and returns the exit status that it says.
func (c *ctlClient) print(answer *http.Response) int {
	status, err := strconv.Atoi(answer.Header.Get(ctl.StatusHeader))
	if answer.StatusCode != http.StatusOK || err != nil {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		fmt.Fprintf(c.err, "error: the server answers %s: %s\n", answer.Status, bytes.TrimSpace(text))
		return ctl.StatusError
	}
	out := c.out
	if status != ctl.StatusOK {
		out = c.err
	}
	if _, err := io.Copy(out, answer.Body); err != nil {
		fmt.Fprintf(c.err, "error: the answer broke off: %v\n", err)
		return ctl.StatusError
	}
	return status
}

// explain says why there is no server, and what to do about it.
func (c *ctlClient) explain(path string, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("broken off")
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no server runs with the data directory %q (there is no %s in it); start one with -data %s, or name that of the one that runs with ctl -data DIR", c.data, ctlSocket, c.data)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("the server of the data directory %q does not run any more; start it with -data %s, or name that of the one that runs with ctl -data DIR", c.data, c.data)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s is for the user alone who runs the server; be that user: %w", path, err)
	}
	return fmt.Errorf("the server does not answer: %w", err)
}

// bashCompletion completes the names of commands, which it has the server tell. awk takes
// the lines of help that begin with one.
const bashCompletion = `# Completes the commands of ctl in bash.
_tidewaiter_ctl() {
	local i=2 data=()
	[ "${COMP_WORDS[1]}" = ctl ] || return
	if [ "${COMP_WORDS[2]}" = -data ]; then data=(-data "${COMP_WORDS[3]}") i=4; fi
	if [ "${COMP_WORDS[i]}" = help ] && [ "$COMP_CWORD" -gt "$i" ]; then i=$((i + 1)); fi
	[ "$COMP_CWORD" -eq "$i" ] || return
	COMPREPLY=($(compgen -W "$("$1" ctl "${data[@]}" help 2>/dev/null | awk '/^  [a-z]/ { print $1 }')" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _tidewaiter_ctl %s
`

// completion prints a script for a shell.
func (c *ctlClient) completion(words []string) int {
	if len(words) != 1 || words[0] != "bash" {
		fmt.Fprintln(c.err, "error: want completion bash")
		return ctl.StatusUsage
	}
	fmt.Fprintf(c.out, bashCompletion, "'"+strings.ReplaceAll(c.program, "'", `'\''`)+"'")
	return ctl.StatusOK
}
