namespace NablaGen;

/// <summary>A request that cannot be met whatever the files hold: a value out of range, flags that contradict each other.</summary>
public sealed class InvalidRequestException : NablaGenException
{
    /// <summary>An error with a line for the user.</summary>
    public InvalidRequestException(string message)
        : base(message)
    {
    }
}
