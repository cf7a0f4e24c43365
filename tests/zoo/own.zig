// Prints its environment and starts the witness, by Zig's standard library, which needs no libc.
const std = @import("std");

pub fn main(init: std.process.Init) !u8 {
    var buffer: [4096]u8 = undefined;
    var file: std.Io.File.Writer = .init(.stdout(), init.io, &buffer);
    const out = &file.interface;
    var variables = init.environ_map.iterator();
    while (variables.next()) |variable| try out.print("{s}={s}\n", .{ variable.key_ptr.*, variable.value_ptr.* });
    try out.print("{d}\n", .{std.heap.pageSize()});
    try out.flush();
    const words = try init.minimal.args.toSlice(init.arena.allocator());
    var child = try std.process.spawn(init.io, .{ .argv = &.{ "sh", words[1], "a b", "" } });
    const ended = try child.wait(init.io);
    try out.print("{any}\n", .{ended});
    try out.flush();
    return 5;
}
