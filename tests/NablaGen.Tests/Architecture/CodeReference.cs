namespace NablaGen.Tests.Architecture;

/// <summary>That a piece of code refers to a type, or to a member of it.</summary>
/// <param name="FromType">The full name of the outermost type that the code is written in.</param>
/// <param name="FromMember">The member that it is written in; empty for the type's own declaration.</param>
/// <param name="Assembly">The assembly of what is referred to.</param>
/// <param name="Type">The full name of its type; a nested one's after a plus sign.</param>
/// <param name="Member">Its member; null where the type alone is named.</param>
internal sealed record CodeReference(string FromType, string FromMember, string Assembly, string Type, string? Member)
{
    /// <summary>The place in the code, for a message.</summary>
    public string Place => FromMember.Length == 0 ? FromType : $"{FromType}.{FromMember}";

    /// <summary>What is referred to, for a message.</summary>
    public string Target => Member is null ? Type : $"{Type}.{Member}";
}
