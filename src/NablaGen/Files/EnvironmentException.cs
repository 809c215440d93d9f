namespace NablaGen.Files;

/// <summary>The surroundings failed, not what is being made: a folder that is gone, a program that somebody ended.</summary>
/// <param name="message">One line.</param>
/// <param name="inner">What it was seen by.</param>
internal sealed class EnvironmentException(string message, Exception? inner = null) : NablaGenException(message, inner);
