using System.Runtime.InteropServices;
using System.Text;
using NablaGen.Files;
using Spectre.Console;

namespace NablaGen.Cli.Output;

/// <summary>The one place where output is wrapped: nothing written ends the work, and no text gives a terminal orders but our own bars.</summary>
internal static partial class Terminal
{
    // Below this bars make no sense; at one or two columns Spectre's table never comes to an end.
    private const int Narrowest = 40;
    private const int LongestQuestion = 600;

    private static volatile bool _isAsking;

    /// <summary>Where output goes instead of to the process's own streams, for who runs the command inside another program: the tests do.</summary>
    public static (TextWriter Output, TextWriter Error)? Captured { get; set; }

    /// <summary>Whether output goes to a file, a pipe or another program instead of a terminal.</summary>
    public static bool IsRedirected => Captured is not null || Console.IsOutputRedirected;

    /// <summary>Whether a terminal is there that is wide enough for bars.</summary>
    public static bool HasBars => !IsRedirected && AnsiConsole.Profile.Capabilities.Interactive && Columns >= Narrowest;

    /// <summary>The terminal's columns; 0 where that cannot be told.</summary>
    public static int Columns
    {
        get
        {
            try
            {
                return Console.WindowWidth;
            }
            catch (Exception error) when (error is IOException or PlatformNotSupportedException or UnauthorizedAccessException)
            {
                return 0;
            }
        }
    }

    /// <summary>Asks a person; bars stand still meanwhile.</summary>
    /// <param name="question">The question.</param>
    /// <returns>Null where nobody can be asked.</returns>
    public static bool? Ask(string question)
    {
        if (Console.IsInputRedirected || Console.IsErrorRedirected)
        {
            return null;
        }

        _isAsking = true;
        try
        {
            Console.Error.Write($"\nnablagen: {Line.Of(question, LongestQuestion)} [y/N] ");
            return Console.In.ReadLine()?.Trim() is { Length: > 0 } answer && "yes".StartsWith(answer, StringComparison.OrdinalIgnoreCase);
        }
        finally
        {
            _isAsking = false;
        }
    }

    /// <summary>Wraps standard output and the error stream, before anything is written.</summary>
    public static void SetUp()
    {
        if (Captured is var (output, error))
        {
            Console.SetOut(new PlainWriter(output));
            Console.SetError(new PlainWriter(error));
            return;
        }

        FillClosed();
        SteadyWriter? steadyError = null;
        var steadyOutput = new SteadyWriter("standard output", () => Open(Console.OpenStandardOutput()), () => steadyError!);
        steadyError = new SteadyWriter("the error stream", () => Open(Console.OpenStandardError()), () => steadyOutput);
        Console.SetOut(steadyOutput);
        Console.SetError(new PlainWriter(steadyError));
        if (!IsRedirected)
        {
            // Spectre looks at what it writes to once, and goes on writing to this.
            AnsiConsole.Console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new BarOutput(new BarWriter(Console.Out)) });
        }

        Console.SetOut(new PlainWriter(steadyOutput));
    }

    private static StreamWriter Open(Stream stream)
    {
        var encoding = Console.OutputEncoding is UTF8Encoding ? new UTF8Encoding(encoderShouldEmitUTF8Identifier: false) : Console.OutputEncoding;
        return new StreamWriter(stream, encoding, bufferSize: 256) { AutoFlush = true };
    }

    // With standard output closed (">&-") its number is free, and the next file that is opened would get it, and with it all that is printed.
    private static void FillClosed()
    {
        const int GetFlags = 1; // F_GETFD
        const int ReadWrite = 2; // O_RDWR
        for (var number = 0; number <= 2 && !OperatingSystem.IsWindows(); number++)
        {
            if (fcntl(number, GetFlags, 0) == -1)
            {
                // The lowest free number is what open gives.
                _ = open("/dev/null", ReadWrite, 0);
            }
        }
    }

    [LibraryImport("libc")]
    private static partial int fcntl(int file, int command, int argument);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    // Bars that went on would write over a question.
    private sealed class BarWriter(TextWriter inner) : TextWriter
    {
        public override Encoding Encoding => inner.Encoding;

        public override void Write(char value)
        {
            if (!_isAsking)
            {
                inner.Write(value);
            }
        }

        public override void Write(string? value)
        {
            if (!_isAsking)
            {
                inner.Write(value);
            }
        }

        public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

        public override void Write(ReadOnlySpan<char> buffer) => Write(buffer.ToString());

        public override void Flush() => inner.Flush();
    }

    // A terminal that becomes narrow during the work gets lines that wrap.
    private sealed class BarOutput(TextWriter writer) : IAnsiConsoleOutput
    {
        public TextWriter Writer => writer;

        public bool IsTerminal => true;

        public int Width => Math.Max(Narrowest, Columns);

        public int Height => 24;

        public void SetEncoding(Encoding encoding)
        {
        }
    }
}
