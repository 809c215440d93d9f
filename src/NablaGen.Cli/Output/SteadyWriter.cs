using System.Text;
using NablaGen.Files;

namespace NablaGen.Cli.Output;

/// <summary>
/// Standard output or the error stream, of which nothing ends the work: once it cannot be written (the terminal is gone, the disk that it
/// goes to is full, it was closed), it says so on the other one and takes no more. Safe to share between threads.
/// </summary>
/// <param name="name">What it is called in that line.</param>
/// <param name="open">Opens it.</param>
/// <param name="other">Where the line goes.</param>
internal sealed class SteadyWriter(string name, Func<TextWriter> open, Func<TextWriter> other) : TextWriter
{
    private readonly Lock _lock = new();
    private TextWriter? _writer;
    private bool _failed;

    public override Encoding Encoding => _writer?.Encoding ?? Encoding.UTF8;

    public override void Write(char value) => Try(writer => writer.Write(value));

    public override void Write(string? value) => Try(writer => writer.Write(value));

    public override void Write(char[] buffer, int index, int count) => Try(writer => writer.Write(buffer, index, count));

    public override void Write(ReadOnlySpan<char> buffer) => Write(buffer.ToString());

    public override void WriteLine() => Write(NewLine);

    public override void WriteLine(string? value) => Write(value + NewLine);

    public override void Flush() => Try(writer => writer.Flush());

    private void Try(Action<TextWriter> write)
    {
        string reason;
        lock (_lock)
        {
            if (_failed)
            {
                return;
            }

            try
            {
                write(_writer ??= open());
                return;
            }
            catch (Exception error) when (error is ObjectDisposedException || OutputFile.IsOfFiles(error))
            {
                _failed = true;
                reason = error.Message;
            }
        }

        // Outside the lock: the other one may fail as well, and would say so here.
        other().WriteLine($"nablagen: {name} cannot be written ({reason}); the work goes on without");
    }
}
