using System.Globalization;
using System.Text;

namespace System.Runtime.CompilerServices;

/// <summary>Has every <c>$"..."</c> of this repository format numbers in the invariant culture.</summary>
/// <remarks>
/// The compiler takes the type of this name from the project itself before it takes the framework's, which formats in the culture of the
/// program's user: 0.7 would become 0,7 in file names, recipes, ffmpeg's arguments and messages. The command line has one culture
/// (InvariantGlobalization), but a program that uses the library has its own. Directory.Build.props compiles this file into each project;
/// CultureTests reads the compiled library and fails on what still depends on the culture.
/// </remarks>
[InterpolatedStringHandler]
internal ref struct DefaultInterpolatedStringHandler
{
    private readonly StringBuilder _text;
    private StringBuilder.AppendInterpolatedStringHandler _inner;

    /// <summary>Called by the compiler, with the length of the literal parts and the number of the others.</summary>
    public DefaultInterpolatedStringHandler(int literalLength, int formattedCount)
    {
        _text = new StringBuilder(literalLength + formattedCount * 8);
        _inner = new StringBuilder.AppendInterpolatedStringHandler(literalLength, formattedCount, _text, CultureInfo.InvariantCulture);
    }

    /// <summary>A literal part.</summary>
    public void AppendLiteral(string value) => _inner.AppendLiteral(value);

    /// <summary>A value.</summary>
    public void AppendFormatted<T>(T value) => _inner.AppendFormatted(value);

    /// <summary>A value with a format.</summary>
    public void AppendFormatted<T>(T value, string? format) => _inner.AppendFormatted(value, format);

    /// <summary>A value in a column.</summary>
    public void AppendFormatted<T>(T value, int alignment) => _inner.AppendFormatted(value, alignment);

    /// <summary>A value in a column, with a format.</summary>
    public void AppendFormatted<T>(T value, int alignment, string? format) => _inner.AppendFormatted(value, alignment, format);

    /// <summary>Characters.</summary>
    public void AppendFormatted(ReadOnlySpan<char> value) => _inner.AppendFormatted(value);

    /// <summary>Characters in a column.</summary>
    public void AppendFormatted(ReadOnlySpan<char> value, int alignment, string? format = null) => _inner.AppendFormatted(value, alignment, format);

    /// <summary>The whole text.</summary>
    public readonly string ToStringAndClear() => _text.ToString();
}
