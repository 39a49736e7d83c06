package host

import (
	"context"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/command"
)

// Process is what commands can do with the program around the host. Without a function
// there are no commands that need it. The functions may be called by several goroutines
// at a time; the texts of their errors are told to whoever has called the command.
type Process struct {
	// Stop begins to end the program after a time, and returns at once: whoever has
	// called the command gets an answer. Commands stop and stop_kindly.
	Stop func(after time.Duration)
	// Restart begins to do so and to start the program again. Commands restart and
	// restart_kindly.
	Restart func(after time.Duration)
	// Halt begins to end the program at once, without a farewell. Command halt.
	Halt func()

	// Reload reads the configuration again and waits until it applies. Command
	// reload_config.
	Reload func(ctx context.Context) error
	// DumpConfig writes the configuration that runs to a file. Command dump_config.
	DumpConfig func(ctx context.Context, file string) error

	// ReopenLog opens the files of the log anew. Commands reopen_log and rotate_log.
	ReopenLog func(ctx context.Context) error
	// LogLevel returns the level of the log: none, emergency, alert, critical, error,
	// warning, notice, info or debug. Command get_loglevel.
	LogLevel func() string
	// SetLogLevel changes it to one of these. Command set_loglevel.
	SetLogLevel func(level string) error

	// S2SNumbers returns how many streams other servers have open here, and how many
	// there are to others. Commands incoming_s2s_number and outgoing_s2s_number.
	S2SNumbers func() (incoming, outgoing int)
	// StopS2S ends them all; they are opened again when there is something to send.
	// Command stop_s2s_connections.
	StopS2S func(ctx context.Context) error
}

// SetProcess registers the commands that need the program around the host. It can be
// called once: the error of a second call is that there are these commands already.
func (h *Host) SetProcess(p Process) error {
	return h.Commands.Add(h.processCommands(p)...)
}

// processCommands returns the commands for which p has the functions.
func (h *Host) processCommands(p Process) []command.Command {
	list := append(h.endCommands("stop", "Stop", p.Stop), h.endCommands("restart", "Restart", p.Restart)...)
	if p.Halt != nil {
		list = append(list, command.Command{
			Name:        "halt",
			Description: "End the server at once, without a farewell.",
			Tags:        []string{"server"},
			Result:      codeResult(),
			Run:         func(context.Context, command.Args) (any, error) { p.Halt(); return true, nil },
		})
	}
	return append(append(append(list, configCommands(p)...), logCommands(p)...), s2sCommands(p)...)
}

// task is a command without arguments that does something.
func task(name, tag, description string, do func(context.Context) error) []command.Command {
	if do == nil {
		return nil
	}
	return []command.Command{{
		Name: name, Description: description, Tags: []string{tag}, Result: codeResult(),
		Run: func(ctx context.Context, _ command.Args) (any, error) { return true, failure(do(ctx)) },
	}}
}

// failure makes the error of a function of a Process one whose text is told.
func failure(err error) error {
	if err == nil {
		return nil
	}
	return &command.Error{Kind: command.Internal, Text: err.Error(), Err: err}
}

// configCommands are about the configuration.
func configCommands(p Process) []command.Command {
	list := task("reload_config", "config", "Read the configuration again. One with mistakes changes nothing.", p.Reload)
	if p.DumpConfig == nil {
		return list
	}
	return append(list, command.Command{
		Name:        "dump_config",
		Description: "Write the configuration that runs to a file of the server.",
		Tags:        []string{"config"},
		Args:        []command.Field{textField("out", "the path of the file")},
		Result:      codeResult(),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			if a.Text("out") == "" {
				return nil, badArgument("out", "argument out is empty")
			}
			return true, failure(p.DumpConfig(ctx, a.Text("out")))
		},
	})
}

// s2sCommands are about streams with other servers.
func s2sCommands(p Process) []command.Command {
	list := task("stop_s2s_connections", "s2s", "End all streams with other servers. They are opened again when they are needed.", p.StopS2S)
	if p.S2SNumbers == nil {
		return list
	}
	number := func(name, result, description string, pick func(in, out int) int) command.Command {
		return command.Command{
			Name: name, Description: description, Tags: []string{"statistics", "s2s"}, Result: numberField(result, ""),
			Run: func(context.Context, command.Args) (any, error) { return pick(p.S2SNumbers()), nil },
		}
	}
	return append(list,
		number("incoming_s2s_number", "s2s_incoming", "How many streams other servers have open here.", func(in, _ int) int { return in }),
		number("outgoing_s2s_number", "s2s_outgoing", "How many streams there are to other servers.", func(_, out int) int { return out }),
	)
}
