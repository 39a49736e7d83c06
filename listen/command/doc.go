// Package command has what the commands of a server are made of: functions with
// declared arguments and results, that programs outside can call. XML-RPC, the
// HTTP API, the admin pages and a command line tool all take the commands of one
// Registry, so that a command is written once:
//
//	err := reg.Add(command.Command{
//		Name:   "double",
//		Args:   []command.Field{{Name: "n", Type: command.Integer}},
//		Result: command.Field{Name: "twice", Type: command.Integer},
//		Run:    func(_ context.Context, a command.Args) (any, error) { return 2 * a.Int("n"), nil },
//	})
//
// Who calls one turns what came into Args (Command.Arguments), sees that the
// caller may do that, which is not the concern of this package, and runs it
// (Command.Do). Names and types are those of ejabberd's commands.
package command
