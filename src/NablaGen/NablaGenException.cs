namespace NablaGen;

/// <summary>
/// Something the user can mend: a bad file, a bad size, a missing program. <see cref="Exception.Message"/> is one plain line that
/// says what was expected and what was found, fit to be printed as it is.
/// </summary>
public class NablaGenException : Exception
{
    /// <summary>An error with a line for the user.</summary>
    public NablaGenException(string message)
        : base(message)
    {
    }

    /// <summary>An error with a line for the user and its cause.</summary>
    public NablaGenException(string message, Exception? inner)
        : base(message, inner)
    {
    }
}
